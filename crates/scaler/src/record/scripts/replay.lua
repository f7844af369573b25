-- Puts the event of a dead letter back on its stream and takes the letter away, in one step.
-- KEYS: dead letter stream, events stream
-- ARGV: letter id, field, value, field, value...
-- Returns the new entry's id, or nothing where there is no such letter: it was replayed before, or is gone.
-- No fence comes before it: whoever may add an event may add this one, and no record is touched.
-- The event is written first: a command that fails midway must not lose it, and behind it nothing fails.
if #redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1]) == 0 then
  return false
end
local entry = redis.call('XADD', KEYS[2], '*', unpack(ARGV, 2))
redis.call('XDEL', KEYS[1], ARGV[1])
return entry
