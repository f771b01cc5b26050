#!lua flags=allow-oom
-- Notes when devices were last heard of, and which hours have got rows, at Redis' own time.
-- KEYS: seen, hours, count. ARGV: number of partitions, number of hours, hour..., then pairs of
-- milliseconds and device. Returns: 1, or 0 if the queue has another number of partitions.
local count = redis.call('GET', KEYS[3])
if count and count ~= ARGV[1] and count ~= ARGV[1] .. '>' then
  return 0
end
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local day = 24 * 3600
-- What lies outside comes from a clock that is wrong, or is too old for anyone to add up again.
for at = 3, ARGV[2] + 2 do
  local age = clock[1] - tonumber(ARGV[at])
  if age > -3600 and age < 9 * day then
    -- GT: should the clock be set back, an hour is counted once too often and not too seldom.
    redis.call('ZADD', KEYS[2], 'GT', now, ARGV[at])
  end
end
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - 10 * day * 1000)
-- unpack breaks near 8,000 values.
for from = ARGV[2] + 3, #ARGV, 1000 do
  redis.call('ZADD', KEYS[1], 'GT', unpack(ARGV, from, math.min(from + 999, #ARGV)))
end
return 1
