#!lua flags=allow-oom
-- Buries dead letters and forgets a finished batch.
-- KEYS: leases, meta, payload, stats, dead. ARGV: batch, epoch, dead letter...
-- Returns: 1, or 0 if lost.
if redis.call('HGET', KEYS[2], 'epoch') ~= ARGV[2] then
  return 0
end
-- What a person has put in the place of the dead letters is put aside: it must not hold up the batch.
if #ARGV > 2 then
  local kind = redis.call('TYPE', KEYS[5]).ok
  if kind ~= 'list' and kind ~= 'none' then
    redis.call('RENAME', KEYS[5], KEYS[5] .. ':unreadable')
  end
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
