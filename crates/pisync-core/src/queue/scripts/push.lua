#!lua
-- Appends messages while fewer than the limit wait, and wakes workers when the list was empty. Without messages it only
-- checks whether one would be accepted: Redis refuses it like a push. KEYS: ready, stats, count. ARGV: limit, wake
-- channel, partition, number of partitions, message... Returns: number accepted (-1: the queue has another number of
-- partitions, or is about to), number waiting now. Redis refuses this script at maxmemory, on purpose.
local count = redis.call('GET', KEYS[3])
if count and count ~= ARGV[4] then
  return {-1, 0}
end
local depth = redis.call('LLEN', KEYS[1])
if #ARGV == 4 and not redis.acl_check_cmd('RPUSH', KEYS[1], '') then
  return redis.error_reply('NOPERM this user may not RPUSH to ' .. KEYS[1])
end
local fits = math.min(#ARGV - 4, tonumber(ARGV[1]) - depth)
if fits <= 0 then
  return {0, depth}
end
-- unpack breaks near 8,000 values.
for from = 5, 4 + fits, 1000 do
  redis.call('RPUSH', KEYS[1], unpack(ARGV, from, math.min(from + 999, 4 + fits)))
end
-- Stored messages are answered as stored: a total and a wake-up must not fail the push.
redis.pcall('HINCRBY', KEYS[2], 'pushed', fits)
if depth == 0 then
  redis.pcall('PUBLISH', ARGV[2], ARGV[3])
end
return {fits, depth + fits}
