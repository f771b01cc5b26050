#!lua flags=allow-oom
-- Gives a batch list that has no lease an ended one, so that the next claim takes it over. The
-- epoch jumps to the clock: it is over every epoch that was handed out before.
-- KEYS: leases, payload, meta. ARGV: batch. Returns: 1 if it was healed.
if redis.call('EXISTS', KEYS[2]) == 0 or redis.call('ZSCORE', KEYS[1], ARGV[1]) then
  return 0
end
local clock = redis.call('TIME')
redis.call('HSET', KEYS[3], 'epoch', clock[1] * 1000 + math.floor(clock[2] / 1000))
redis.call('ZADD', KEYS[1], 0, ARGV[1])
return 1
