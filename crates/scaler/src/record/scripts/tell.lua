-- Tells what changes nothing on record.
-- KEYS: status stream; ARGV: status limit, then for each notification its 8 fields and values
for i = 2, #ARGV, 16 do
  redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*', unpack(ARGV, i, i + 15))
end
return 1
