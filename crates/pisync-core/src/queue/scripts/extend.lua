#!lua flags=allow-oom
-- Lets a lease last on. KEYS: leases, meta. ARGV: batch, epoch, lease ms. Returns: 1, or 0 if lost.
if redis.call('HGET', KEYS[2], 'epoch') ~= ARGV[2] then
  return 0
end
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
redis.call('ZADD', KEYS[1], now + tonumber(ARGV[3]), ARGV[1])
return 1
