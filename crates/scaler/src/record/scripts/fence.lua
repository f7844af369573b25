-- Comes before each script that writes: a term lower than the highest seen may write nothing.
-- KEYS[1]: the highest term; ARGV[1]: the writer's. What follows sees KEYS and ARGV without these two.
local highest = tonumber(redis.call('GET', KEYS[1]) or '0')
if tonumber(ARGV[1]) < highest then
  return redis.error_reply('FENCED a later leader writes, of term ' .. highest)
end
if tonumber(ARGV[1]) > highest then
  redis.call('SET', KEYS[1], ARGV[1])
end
-- Not by unpack: that takes some thousands at most.
local function rest(list)
  local shorter = {}
  for i = 2, #list do
    shorter[i - 1] = list[i]
  end
  return shorter
end
local KEYS, ARGV = rest(KEYS), rest(ARGV)
