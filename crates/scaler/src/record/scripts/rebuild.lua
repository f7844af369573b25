-- Writes a record that was lost, and what is known of its workers.
-- KEYS: record, index, status stream
-- ARGV: record id, entry id, score, spec, status limit, number of slots, then for each its field and value,
--       then for each notification its 8 fields and values
-- Returns 0 where the record is there; nothing is changed then.
if redis.call('EXISTS', KEYS[1]) == 1 then
  return 0
end
local slots_end = 6 + 2 * tonumber(ARGV[6])
for i = slots_end + 1, #ARGV, 16 do
  redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[5], '*', unpack(ARGV, i, i + 15))
end
redis.call('ZADD', KEYS[2], ARGV[3], ARGV[1])
redis.call('HSET', KEYS[1], 'entry', ARGV[2], 'spec', ARGV[4])
for i = 7, slots_end, 2 do
  redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
end
return 1
