-- Takes consumers out of the group that have nothing pending and did nothing for long: each replica has a
-- name of its own, and the group would remember all that there ever were.
-- KEYS: events stream
-- ARGV: group, the consumer that stays, milliseconds
-- Returns how many. In one step with the look at what is pending: with a consumer its entries would go.
local forgotten = 0
for _, consumer in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
  local is = {}
  for i = 1, #consumer, 2 do
    is[consumer[i]] = consumer[i + 1]
  end
  if is.name ~= ARGV[2] and is.pending == 0 and is.idle >= tonumber(ARGV[3]) then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], is.name)
    forgotten = forgotten + 1
  end
end
return forgotten
