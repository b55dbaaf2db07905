-- Frees a lock, if the owner token holds it.
--
-- Executed twice it finds nothing the second time, or another owner, whom it
-- leaves alone.
--
-- Keys:      1 the lock
-- Arguments: 1 the owner token
-- Replies:   1 freed, 0 nobody holds it, -1 something else does.
local held = redis.pcall('GET', KEYS[1])
if held == ARGV[1] then
  redis.call('DEL', KEYS[1])
  return 1
end
if not held then
  return 0
end
if type(held) == 'table' and not string.find(held.err, 'WRONGTYPE', 1, true) then
  return held
end
return -1
