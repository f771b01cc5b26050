#!lua flags=allow-oom
-- Hands out the batch of a partition: one with an expired lease, or a new one of waiting messages. KEYS: ready, batch,
-- lease, paused, stats, count. ARGV: batch id, max, lease ms, owner, number of partitions, longest lease ms. Returns:
-- kind of result, batch id, epoch (busy: ms until the lease ends), attempt, cursor (-1 if none), messages.
local ready, batch, lease = KEYS[1], KEYS[2], KEYS[3]
local id, length, owner = ARGV[1], tonumber(ARGV[3]), ARGV[4]
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local held = redis.call('HMGET', lease, 'id', 'owner', 'ends', 'epoch', 'attempt', 'cursor')
local left = (tonumber(held[3]) or 0) - now
-- A count that no owner can have reached is a person's.
local function count_of(text)
  local count = tonumber(text)
  return count and count >= 0 and count <= 1e9 and count % 1 == 0 and count or nil
end
local epoch, attempt = count_of(held[4]), count_of(held[5]) or 0
-- Such a long lease is invalid: the clock was wrong, or a person wrote it.
if left > tonumber(ARGV[6]) then
  left = 0
end

local function hand_out(id, epoch, attempt, cursor)
  return {'batch', id, epoch, attempt, tonumber(cursor) or -1, redis.call('LRANGE', batch, 0, -1)}
end

-- The reply to this very claim was lost: repeat it.
if left > 0 and held[1] == id and held[2] == owner and epoch then
  return hand_out(id, epoch, attempt, held[6])
end

-- While the number changes ('>'), a worker with the old one drains.
local count = redis.call('GET', KEYS[6])
if count and count ~= ARGV[5] and count ~= ARGV[5] .. '>' then
  return {'changed', '', 0, 0, -1, {}}
end

if redis.call('EXISTS', KEYS[4]) == 1 then
  return {'paused', '', 0, 0, -1, {}}
end

if left > 0 then
  return {'busy', '', left, 0, -1, {}}
end

-- A worker died or released: its batch is taken over in place.
if redis.call('EXISTS', batch) == 1 then
  if held[1] and epoch then
    id = held[1]
  else
    -- A person removed the lease: the new id fences the former owner.
    redis.call('UNLINK', lease)
    epoch, attempt = 0, 0
  end
  redis.call('HSET', lease, 'id', id, 'epoch', epoch + 1, 'attempt', attempt + 1, 'owner', owner, 'ends', now + length)
  if attempt > 0 then
    -- A total is for people: the batch is handed out without it.
    redis.pcall('HINCRBY', KEYS[5], 'redelivered', 1)
  end
  return hand_out(id, epoch + 1, attempt + 1, held[6])
end

local messages = redis.call('LRANGE', ready, 0, ARGV[2] - 1)
if #messages == 0 then
  return {'empty', '', 0, 0, -1, {}}
end
-- Copy first, remove last: Lua has no rollback. unpack breaks near 8,000 values.
for from = 1, #messages, 1000 do
  redis.call('RPUSH', batch, unpack(messages, from, math.min(from + 999, #messages)))
end
redis.call('UNLINK', lease)
redis.call('HSET', lease, 'id', id, 'epoch', 1, 'attempt', 1, 'owner', owner, 'ends', now + length)
redis.call('LTRIM', ready, #messages, -1)
return {'batch', id, 1, 1, -1, messages}
