#!lua flags=no-writes,allow-oom,allow-stale
-- Finds commands that the caller's user may not run. ARGV: for each command its number of words, then its words.
-- Returns: the places of the denied commands, from 1.
local denied = {}
local at, place = 1, 1
while at <= #ARGV do
  local words = tonumber(ARGV[at])
  -- A command unknown to this server is not a matter of rights.
  local is_known, is_allowed = pcall(redis.acl_check_cmd, unpack(ARGV, at + 1, at + words))
  if is_known and not is_allowed then
    table.insert(denied, place)
  end
  at, place = at + 1 + words, place + 1
end
return denied
