#!lua flags=no-writes,allow-oom,allow-stale
-- Which of some commands the caller's user may not run. ARGV: for each command how many words it
-- has, then its words. Returns: the places of the commands that are refused, from 1.
local denied = {}
local at, place = 1, 1
while at <= #ARGV do
  local words = tonumber(ARGV[at])
  -- A command that this server does not know is no question of rights.
  local is_known, is_allowed = pcall(redis.acl_check_cmd, unpack(ARGV, at + 1, at + words))
  if is_known and not is_allowed then
    table.insert(denied, place)
  end
  at, place = at + 1 + words, place + 1
end
return denied
