#!lua flags=no-writes,allow-oom
-- What lies where. KEYS: ready, leases, dead, paused, stats. ARGV: key base.
-- Returns: ready, batches (name, size, owner, epoch, attempt), dead, paused, oldest message, totals.
local batches = {}
for _, batch in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do
  local meta = redis.call('HMGET', ARGV[1] .. 'm:' .. batch, 'owner', 'epoch', 'attempt')
  local size = redis.call('LLEN', ARGV[1] .. 'p:' .. batch)
  table.insert(batches, {batch, size, meta[1] or '', tonumber(meta[2]) or 0, tonumber(meta[3]) or 0})
end
-- Totals are for people: without them the rest is told.
local totals = redis.pcall('HGETALL', KEYS[5])
return {
  redis.call('LLEN', KEYS[1]),
  batches,
  redis.call('LLEN', KEYS[3]),
  redis.call('EXISTS', KEYS[4]),
  redis.call('LINDEX', KEYS[1], 0) or '',
  totals.err and {} or totals,
}
