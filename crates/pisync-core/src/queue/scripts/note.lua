#!lua flags=allow-oom
-- Writes down how far a batch is read. KEYS: meta. ARGV: epoch, cursor. Returns: 1, or 0 if lost.
if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[1] then
  return 0
end
redis.call('HSET', KEYS[1], 'cursor', ARGV[2])
return 1
