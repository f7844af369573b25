-- Keeps an entry that cannot be handled where an operator can see it, and takes it off the stream.
-- KEYS: dead letter stream, events stream
-- ARGV: group, entry id, dead letter limit, field, value, field, value...
-- Returns 1 where the letter is new: an entry neither pending nor in the stream was dealt with before.
-- The letter is written first: a command that fails midway must not lose the entry.
local pending = redis.call('XPENDING', KEYS[2], ARGV[1], ARGV[2], ARGV[2], 1)
local present = redis.call('XRANGE', KEYS[2], ARGV[2], ARGV[2])
if #pending + #present == 0 then
  return 0
end
redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[3], '*', unpack(ARGV, 4))
redis.call('XACK', KEYS[2], ARGV[1], ARGV[2])
redis.call('XDEL', KEYS[2], ARGV[2])
return 1
