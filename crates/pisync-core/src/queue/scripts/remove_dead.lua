#!lua flags=allow-oom
-- Removes one dead letter, and requeues its message if it is given. KEYS: dead, ready, stats, count. ARGV: letter,
-- total to raise, wake channel, partition, number of partitions, [message]. Returns: 1, 0 if the letter is not there
-- any more, -1 if the queue has another number of partitions, or is about to.
local count = redis.call('GET', KEYS[4])
if ARGV[6] and count and count ~= ARGV[5] then
  return -1
end
if not redis.call('LPOS', KEYS[1], ARGV[1], 'RANK', -1) then
  return 0
end
-- Written first, removed last: Lua has no rollback.
if ARGV[6] then
  redis.call('RPUSH', KEYS[2], ARGV[6])
end
redis.call('LREM', KEYS[1], -1, ARGV[1])
-- A total and a wake-up: the letter is moved without them.
redis.pcall('HINCRBY', KEYS[3], ARGV[2], 1)
if ARGV[6] then
  redis.pcall('PUBLISH', ARGV[3], ARGV[4])
end
return 1
