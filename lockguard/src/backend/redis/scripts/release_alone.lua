-- The release of a lock that nobody waits for. This text stands before
-- `release.lua`, whose definitions cost the server as much again, and which does
-- the same where this does not end.
--
-- Keys, arguments and replies: those of `release.lua`
if ARGV[2] == '' and not ARGV[3] and redis.pcall('GET', KEYS[1]) == ARGV[1] then
  local first = KEYS[2] and redis.pcall('ZRANGE', KEYS[2], 0, 0)
  if not first or not first.err and not first[1] then
    local freed = redis.pcall('DEL', KEYS[1])
    return type(freed) == 'table' and freed or 1
  end
end

