-- Takes a record out of the index that is no more.
-- KEYS: index, record
-- ARGV: record id
-- In one step with the look whether it is there: another leader may just have written it again.
if redis.call('EXISTS', KEYS[2]) == 0 then
  redis.call('ZREM', KEYS[1], ARGV[1])
end
return redis.status_reply('OK')
