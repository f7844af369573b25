-- Records what an entry asks for, once, and takes the entry off the stream (P1, P2).
-- KEYS: record, index, status stream, events stream
-- ARGV: group, entry id, record id, score, spec, status limit, task id, timestamp, worker id...
-- Returns 1 where the record is new.
-- Redis rolls nothing back when a command fails midway, so the record itself is written last of what
-- makes it: before, all is done again with the next delivery; an index entry alone is cleaned up.
local fresh = redis.call('EXISTS', KEYS[1]) == 0
if fresh then
  for i = 9, #ARGV do
    redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[6], '*',
      'event_id', ARGV[i] .. ':queued', 'task_id', ARGV[7], 'worker_id', ARGV[i], 'state', 'queued',
      'class', '', 'exit_code', '', 'reason', '', 'timestamp', ARGV[8])
  end
  redis.call('ZADD', KEYS[2], ARGV[4], ARGV[3])
  redis.call('HSET', KEYS[1], 'entry', ARGV[2], 'spec', ARGV[5])
end
redis.call('XACK', KEYS[4], ARGV[1], ARGV[2])
redis.call('XDEL', KEYS[4], ARGV[2])
return fresh and 1 or 0
