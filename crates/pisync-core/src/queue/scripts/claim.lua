#!lua flags=allow-oom
-- Hands out one batch of a partition under a lease.
-- KEYS: ready, leases, paused, stats, count. ARGV: key base, batch, max, lease ms, owner, number of
-- partitions.
-- Returns: what was found, batch, epoch (busy: ms until the lease ends), attempt, cursor (-1 if none), messages.
local base, batch, owner = ARGV[1], ARGV[2], ARGV[5]
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local ends = now + tonumber(ARGV[4])

local function hand_out(id)
  local meta = redis.call('HMGET', base .. 'm:' .. id, 'epoch', 'attempt', 'cursor')
  local messages = redis.call('LRANGE', base .. 'p:' .. id, 0, -1)
  return {'batch', id, tonumber(meta[1]), tonumber(meta[2]), tonumber(meta[3]) or -1, messages}
end

-- The reply to this very claim was lost: the same answer again.
local lease = redis.call('ZSCORE', KEYS[2], batch)
if lease and tonumber(lease) > now then
  if redis.call('HGET', base .. 'm:' .. batch, 'owner') == owner then
    return hand_out(batch)
  end
end

-- While the number changes ('>'), who has the old one drains.
local count = redis.call('GET', KEYS[5])
if count and count ~= ARGV[6] and count ~= ARGV[6] .. '>' then
  return {'changed', '', 0, 0, -1, {}}
end

if redis.call('EXISTS', KEYS[3]) == 1 then
  return {'paused', '', 0, 0, -1, {}}
end

-- A worker died or let go: its batch goes on where it lies.
local ended = redis.call('ZRANGE', KEYS[2], '-inf', now, 'BYSCORE', 'LIMIT', 0, 1)[1]
if ended then
  local meta = base .. 'm:' .. ended
  redis.call('HINCRBY', meta, 'epoch', 1)
  local attempt = redis.call('HINCRBY', meta, 'attempt', 1)
  redis.call('HSET', meta, 'owner', owner)
  redis.call('ZADD', KEYS[2], ends, ended)
  if attempt > 1 then
    -- A total is for people: without it the batch is handed out all the same.
    redis.pcall('HINCRBY', KEYS[4], 'redelivered', 1)
  end
  return hand_out(ended)
end

local live = redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')
if live[1] then
  return {'busy', '', math.max(0, live[2] - now), 0, -1, {}}
end

local messages = redis.call('LRANGE', KEYS[1], 0, ARGV[3] - 1)
if #messages == 0 then
  return {'empty', '', 0, 0, -1, {}}
end
-- Copy first, remove last: Lua has no rollback. unpack breaks near 8,000 values.
for from = 1, #messages, 1000 do
  redis.call('RPUSH', base .. 'p:' .. batch, unpack(messages, from, math.min(from + 999, #messages)))
end
redis.call('HSET', base .. 'm:' .. batch, 'epoch', 1, 'attempt', 1, 'owner', owner)
redis.call('ZADD', KEYS[2], ends, batch)
redis.call('LTRIM', KEYS[1], #messages, -1)
return {'batch', batch, 1, 1, -1, messages}
