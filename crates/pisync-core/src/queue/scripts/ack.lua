#!lua flags=allow-oom
-- Buries dead letters and forgets a finished batch.
-- KEYS: leases, meta, payload, stats, dead. ARGV: batch, epoch, dead letter...
-- Returns: 1, or 0 if lost.
if redis.call('HGET', KEYS[2], 'epoch') ~= ARGV[2] then
  return 0
end
-- Written first, removed last: Lua has no rollback. unpack breaks near 8,000 values.
for from = 3, #ARGV, 1000 do
  redis.call('LPUSH', KEYS[5], unpack(ARGV, from, math.min(from + 999, #ARGV)))
end
-- Totals are for people: without them the batch is done all the same.
redis.pcall('HINCRBY', KEYS[4], 'dead', #ARGV - 2)
redis.pcall('HINCRBY', KEYS[4], 'acked', redis.call('LLEN', KEYS[3]) - (#ARGV - 2))
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('UNLINK', KEYS[2], KEYS[3])
return 1
