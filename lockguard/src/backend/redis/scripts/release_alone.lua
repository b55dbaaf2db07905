-- The release of locks that nobody waits for. This text stands before
-- `release.lua`, whose definitions cost the server as much again, and which goes on
-- where this has stopped.
--
-- Keys, arguments and replies: those of `release.lua`
-- A lock alone may come without its line; of several each has one.
local count = math.ceil(#KEYS / 2)
local says_more = ARGV[count + 1]
-- How many are free by now: the first so many.
local freed, left = 0, nil
while freed < count and not says_more do
  local nth = freed + 1
  local lock, line, token = KEYS[nth], KEYS[count + nth], ARGV[nth]
  -- -2: there is no such line.
  left = line and redis.pcall('PTTL', line) or -2
  if left ~= -2 then
    break
  end
  if redis.pcall('GET', lock) ~= token or type(redis.pcall('DEL', lock)) == 'table' then
    break
  end
  freed = nth
end
if freed == count then
  return 1
end
