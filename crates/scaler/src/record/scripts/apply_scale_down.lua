-- Marks the chosen workers as cancelled and the scale-down as applied, in one step and once.
-- KEYS: scale-down record, index, task record...
-- ARGV: record id, milliseconds to keep the record, then for each worker: number of its key, slot field, slot
-- Returns 0 where it had been applied before; nothing is changed then.
if redis.call('EXISTS', KEYS[1]) == 1 and not redis.call('ZSCORE', KEYS[2], ARGV[1]) then
  return 0
end
for i = 3, #ARGV, 3 do
  local record = KEYS[tonumber(ARGV[i])]
  if redis.call('EXISTS', record) == 1 then
    redis.call('HSET', record, ARGV[i + 1], ARGV[i + 2])
  end
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
redis.call('ZREM', KEYS[2], ARGV[1])
return 1
