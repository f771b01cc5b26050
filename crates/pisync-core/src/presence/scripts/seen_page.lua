#!lua flags=no-writes,allow-oom
-- Devices of a partition in order of their last-seen times, ties by device. KEYS: seen. ARGV: from, to (excluded),
-- limit, [milliseconds, device] of the previous entry. Returns: device, milliseconds, and so on.

-- Not the operator: it compares by the server's locale, and the set by bytes.
local function is_after(a, b)
  for at = 1, math.min(#a, #b) do
    local x, y = string.byte(a, at), string.byte(b, at)
    if x ~= y then
      return x > y
    end
  end
  return #a > #b
end

local start = redis.call('ZCOUNT', KEYS[1], '-inf', '(' .. ARGV[1])
local stop = redis.call('ZCOUNT', KEYS[1], '-inf', '(' .. ARGV[2])
if ARGV[4] then
  -- Binary search for the first place after the previous entry, which may have moved since. It stays fast if a whole
  -- fleet came back in the same millisecond.
  local low = redis.call('ZCOUNT', KEYS[1], '-inf', '(' .. ARGV[4])
  local high = redis.call('ZCOUNT', KEYS[1], '-inf', ARGV[4])
  while low < high do
    local middle = math.floor((low + high) / 2)
    if is_after(redis.call('ZRANGE', KEYS[1], middle, middle)[1], ARGV[5]) then
      high = middle
    else
      low = middle + 1
    end
  end
  start = math.max(start, low)
end
if start >= stop then
  return {}
end
return redis.call('ZRANGE', KEYS[1], start, math.min(stop, start + ARGV[3]) - 1, 'WITHSCORES')
