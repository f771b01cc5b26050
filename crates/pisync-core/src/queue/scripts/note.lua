#!lua flags=allow-oom
-- Records the read position in a batch. KEYS: lease. ARGV: batch id, epoch, cursor. Returns: 1, or 0 if lost.
local held = redis.call('HMGET', KEYS[1], 'id', 'epoch')
if held[1] ~= ARGV[1] or held[2] ~= ARGV[2] then
  return 0
end
redis.call('HSET', KEYS[1], 'cursor', ARGV[3])
return 1
