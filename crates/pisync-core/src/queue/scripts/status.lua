#!lua flags=no-writes,allow-oom
-- Status of a partition. KEYS: ready, batch, lease, dead, paused, stats. Returns: ready, messages in flight, their
-- lease (id, owner, epoch, attempt), dead, paused, oldest message, totals.
local held = redis.call('HMGET', KEYS[3], 'id', 'owner', 'epoch', 'attempt')
local lease = {held[1] or '', held[2] or '', tonumber(held[3]) or 0, tonumber(held[4]) or 0}
-- Totals are for people: the rest is returned without them.
local totals = redis.pcall('HGETALL', KEYS[6])
return {
  redis.call('LLEN', KEYS[1]),
  redis.call('LLEN', KEYS[2]),
  lease,
  redis.call('LLEN', KEYS[4]),
  redis.call('EXISTS', KEYS[5]),
  redis.call('LINDEX', KEYS[1], 0) or '',
  totals.err and {} or totals,
}
