-- Tells what is known of workers of one record and writes it, in one step.
-- KEYS: record, index, status stream
-- ARGV: record id, milliseconds to keep a finished record (0: not finished), status limit, number of slots,
--       then for each its field and value, then for each notification its 8 fields and values
-- Returns 0 where the record is gone; the notifications go out all the same, and first: told twice is
-- fine, on record and never told is not.
local slots_end = 4 + 2 * tonumber(ARGV[4])
for i = slots_end + 1, #ARGV, 16 do
  redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[3], '*', unpack(ARGV, i, i + 15))
end
if redis.call('EXISTS', KEYS[1]) == 0 then
  return 0
end
for i = 5, slots_end, 2 do
  redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
end
if ARGV[2] ~= '0' then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
  redis.call('ZREM', KEYS[2], ARGV[1])
end
return 1
