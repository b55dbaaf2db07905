-- The release of a lock that nobody waits for. This text stands before
-- `release.lua`, whose definitions cost the server as much again, and which does
-- the same where this does not end.
--
-- Keys, arguments and replies: those of `release.lua`
-- -2: there is no such line.
if not ARGV[2] and (not KEYS[2] or redis.pcall('PTTL', KEYS[2]) == -2) then
  if redis.pcall('GET', KEYS[1]) == ARGV[1] then
    local freed = redis.pcall('DEL', KEYS[1])
    return type(freed) == 'table' and freed or 1
  end
end

