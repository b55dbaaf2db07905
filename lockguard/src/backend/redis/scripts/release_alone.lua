-- The release of locks that nobody waits for. This text stands before
-- `release.lua`, whose definitions cost the server as much again, and which does
-- the same where this does not end.
--
-- Keys, arguments and replies: those of `release.lua`
local count, freed = math.ceil(#KEYS / 2), 0
while freed < count and not ARGV[count + 1] do
  local lock, line, token = KEYS[freed + 1], KEYS[count + freed + 1], ARGV[freed + 1]
  -- -2: there is no such line.
  if
    line and redis.pcall('PTTL', line) ~= -2
    or redis.pcall('GET', lock) ~= token
    or type(redis.pcall('DEL', lock)) == 'table'
  then
    break
  end
  freed = freed + 1
end
if freed == count then
  return 1
end
