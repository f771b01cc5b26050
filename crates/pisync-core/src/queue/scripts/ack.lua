#!lua flags=allow-oom
-- Acknowledges a finished batch, and stores its dead letters. KEYS: batch, lease, stats, dead. ARGV: batch id, epoch,
-- dead letter... Returns: 1, or 0 if lost.
local batch, lease, stats, dead = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local held = redis.call('HMGET', lease, 'id', 'epoch')
if held[1] ~= ARGV[1] or held[2] ~= ARGV[2] then
  return 0
end
-- A key that a person has written with another type is renamed: it must not block the batch.
if #ARGV > 2 then
  local kind = redis.call('TYPE', dead).ok
  if kind ~= 'list' and kind ~= 'none' then
    redis.call('RENAME', dead, dead .. ':unreadable')
  end
end
-- Written first, removed last: Lua has no rollback. unpack breaks near 8,000 values.
for from = 3, #ARGV, 1000 do
  redis.call('LPUSH', dead, unpack(ARGV, from, math.min(from + 999, #ARGV)))
end
-- Totals are for people: the batch is done without them.
redis.pcall('HINCRBY', stats, 'dead', #ARGV - 2)
redis.pcall('HINCRBY', stats, 'acked', redis.call('LLEN', batch) - (#ARGV - 2))
redis.call('UNLINK', batch, lease)
return 1
