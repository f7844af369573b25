-- Begins a term: higher than any before, and at least as high as is asked for.
-- KEYS[1]: the highest term; ARGV[1]: at least this. Returns the term.
local term = math.max(tonumber(redis.call('GET', KEYS[1]) or '0') + 1, tonumber(ARGV[1]))
redis.call('SET', KEYS[1], string.format('%.0f', term))
return term
