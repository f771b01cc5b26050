#!lua flags=allow-oom
-- Takes one dead letter out, and puts its message back to the end of the queue if it is given.
-- KEYS: dead, ready, stats. ARGV: letter, total to raise, wake channel, partition, [message].
-- Returns: 1, or 0 if the letter is not there any more.
if redis.call('LREM', KEYS[1], -1, ARGV[1]) == 0 then
  return 0
end
redis.call('HINCRBY', KEYS[3], ARGV[2], 1)
if ARGV[5] then
  redis.call('RPUSH', KEYS[2], ARGV[5])
  redis.call('PUBLISH', ARGV[3], ARGV[4])
end
return 1
