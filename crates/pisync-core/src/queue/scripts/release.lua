#!lua flags=allow-oom
-- Releases a batch: the lease ends now, and the takeover will not count as an attempt. The epoch rises, so that the
-- former owner is fenced. KEYS: lease. ARGV: batch id, epoch, wake channel, partition. Returns: 1, or 0 if lost.
local held = redis.call('HMGET', KEYS[1], 'id', 'epoch', 'attempt')
if held[1] ~= ARGV[1] or held[2] ~= ARGV[2] then
  return 0
end
redis.call('HSET', KEYS[1], 'epoch', held[2] + 1, 'attempt', (tonumber(held[3]) or 1) - 1, 'ends', 0)
-- Only a wake-up: workers also poll.
redis.pcall('PUBLISH', ARGV[3], ARGV[4])
return 1
