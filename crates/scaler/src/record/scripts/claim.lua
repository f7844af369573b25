-- Claims the records for where a scaler's workers are.
-- KEYS: home, index; ARGV: the scaler's home.
-- Returns nothing, or the home of those that still have work: that of another scaler is not taken.
local home = redis.call('GET', KEYS[1])
-- A home that ends in a mark of its own, in brackets, is known by that: its path and its host may change.
local function mark(of)
  return string.match(of, '%((%x+)%)$') or of
end
if home and mark(home) ~= mark(ARGV[1]) and redis.call('ZCARD', KEYS[2]) > 0 then
  return home
end
redis.call('SET', KEYS[1], ARGV[1])
return false
