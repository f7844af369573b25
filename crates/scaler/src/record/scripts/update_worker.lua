-- Writes what is known of a worker and tells it, in one step.
-- KEYS: record, index, status stream
-- ARGV: record id, slot field, slot, milliseconds to keep a finished record (0: not finished), status limit,
--       field, value... of the notification
-- Returns 0 where the record is gone; the notification goes out all the same.
local known = redis.call('EXISTS', KEYS[1])
if known == 1 then
  redis.call('HSET', KEYS[1], ARGV[2], ARGV[3])
  if ARGV[4] ~= '0' then
    redis.call('ZREM', KEYS[2], ARGV[1])
    redis.call('PEXPIRE', KEYS[1], ARGV[4])
  end
end
redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[5], '*', unpack(ARGV, 6))
return known
