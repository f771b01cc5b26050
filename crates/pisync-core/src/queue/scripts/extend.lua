#!lua flags=allow-oom
-- Extends a lease. KEYS: lease. ARGV: batch id, epoch, lease ms. Returns: 1, or 0 if lost.
local held = redis.call('HMGET', KEYS[1], 'id', 'epoch')
if held[1] ~= ARGV[1] or held[2] ~= ARGV[2] then
  return 0
end
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
redis.call('HSET', KEYS[1], 'ends', now + tonumber(ARGV[3]))
return 1
