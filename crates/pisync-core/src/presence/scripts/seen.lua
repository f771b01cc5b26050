#!lua flags=allow-oom
-- Records last-seen times of devices and dirty hours, at Redis' own time. KEYS: seen, hours, count. ARGV: number of
-- partitions, most devices, number of hours, hour..., then pairs of milliseconds and device. Returns: number of devices
-- left out beyond the limit; -1 if the queue has another number of partitions.
local count = redis.call('GET', KEYS[3])
if count and count ~= ARGV[1] and count ~= ARGV[1] .. '>' then
  return -1
end
-- A key that a person has written with another type is renamed: it must not block the batch.
for at = 1, 2 do
  local kind = redis.call('TYPE', KEYS[at]).ok
  if kind ~= 'zset' and kind ~= 'none' then
    redis.call('RENAME', KEYS[at], KEYS[at] .. ':unreadable')
  end
end
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local day = 24 * 3600
-- An hour out of range is of a wrong clock, or too old to be added up again.
for at = 4, ARGV[3] + 3 do
  local age = clock[1] - tonumber(ARGV[at])
  if age > -3600 and age < 9 * day then
    -- GT: if the clock is set back, an hour is counted too often rather than too rarely.
    redis.call('ZADD', KEYS[2], 'GT', now, ARGV[at])
  end
end
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - 10 * day * 1000)

local first = ARGV[3] + 4
local room = ARGV[2] - redis.call('ZCARD', KEYS[1])
if room >= (#ARGV - first + 1) / 2 then
  -- unpack breaks near 8,000 values.
  for from = first, #ARGV, 1000 do
    redis.call('ZADD', KEYS[1], 'GT', unpack(ARGV, from, math.min(from + 999, #ARGV)))
  end
  return 0
end
local left_out = 0
for at = first, #ARGV, 2 do
  local is_known = redis.call('ZSCORE', KEYS[1], ARGV[at + 1])
  if is_known or room > 0 then
    redis.call('ZADD', KEYS[1], 'GT', ARGV[at], ARGV[at + 1])
    room = room - (is_known and 0 or 1)
  else
    left_out = left_out + 1
  end
end
return left_out
