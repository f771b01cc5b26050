#!lua flags=allow-oom
-- Records a heartbeat at Redis' own time, and the gap if no API was alive before. KEYS: heartbeat. ARGV: the kind of
-- process; and of an alerter its name, the ms until its next tick, and the number of its receivers besides the log.
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local minute = 60 * 1000
-- Numbers in Redis' form: Lua's own form would round these.
local text = string.format('%.0f', now)
-- A key that a person has written with another type is renamed.
local kind = redis.call('TYPE', KEYS[1]).ok
if kind ~= 'hash' and kind ~= 'none' then
  redis.call('RENAME', KEYS[1], KEYS[1] .. ':unreadable')
end
local last = redis.call('HGET', KEYS[1], ARGV[1])
if ARGV[1] == 'ingest' and tonumber(last) and now - tonumber(last) > 2 * minute then
  for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
    local from = tonumber(string.match(field, '^gap:(%d+)$'))
    if from and now - from > 60 * 24 * 60 * minute then
      redis.call('HDEL', KEYS[1], field)
    end
  end
  redis.call('HSET', KEYS[1], 'gap:' .. last, text)
end
redis.call('HSET', KEYS[1], ARGV[1], text)
if ARGV[1] == 'alerter' then
  -- A long overdue alerter is gone: the time of the last tick of all stays.
  for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
    local due = string.match(field, '^due:') and tonumber(redis.call('HGET', KEYS[1], field) or '')
    if due and now - due > 60 * minute then
      redis.call('HDEL', KEYS[1], field)
    end
  end
  local due = string.format('%.0f', now + tonumber(ARGV[3]))
  redis.call('HSET', KEYS[1], 'due:' .. ARGV[2], due, 'receivers', ARGV[4])
end
return 1
