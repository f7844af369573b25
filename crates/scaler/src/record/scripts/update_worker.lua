-- Tells what is known of a worker and writes it, in one step.
-- KEYS: record, index, status stream
-- ARGV: record id, slot field, slot, milliseconds to keep a finished record (0: not finished), status limit,
--       then for each notification its 8 fields and values
-- Returns 0 where the record is gone; the notification goes out all the same, and first: told twice is
-- fine, on record and never told is not.
for i = 6, #ARGV, 16 do
  redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[5], '*', unpack(ARGV, i, i + 15))
end
if redis.call('EXISTS', KEYS[1]) == 0 then
  return 0
end
redis.call('HSET', KEYS[1], ARGV[2], ARGV[3])
if ARGV[4] ~= '0' then
  redis.call('PEXPIRE', KEYS[1], ARGV[4])
  redis.call('ZREM', KEYS[2], ARGV[1])
end
return 1
