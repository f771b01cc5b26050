#!lua flags=allow-oom
-- Gives a batch back: the lease ends now, and the takeover will not count as an attempt. The epoch
-- rises, so that the giver has no say in the batch any more.
-- KEYS: leases, meta. ARGV: batch, epoch, wake channel, partition. Returns: 1, or 0 if lost.
if redis.call('HGET', KEYS[2], 'epoch') ~= ARGV[2] then
  return 0
end
redis.call('HINCRBY', KEYS[2], 'epoch', 1)
redis.call('HINCRBY', KEYS[2], 'attempt', -1)
redis.call('ZADD', KEYS[1], 0, ARGV[1])
-- Only a notice: workers look by themselves.
redis.pcall('PUBLISH', ARGV[3], ARGV[4])
return 1
