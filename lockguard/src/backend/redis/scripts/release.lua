-- Frees a lock, if the owner token holds it: at once, or when a rest of its
-- time has passed.
--
-- Executed twice it finds nothing the second time, or another owner, whom it
-- leaves alone; a rest never lengthens the lock's time.
--
-- Keys:      1 the lock
-- Arguments: 1 the owner token, 2 the milliseconds to keep it from now, if any
-- Replies:   1 freed, 0 nobody holds it, -1 something else does.
local held = redis.pcall('GET', KEYS[1])
if held == ARGV[1] then
  if not ARGV[2] then
    redis.call('DEL', KEYS[1])
    return 1
  end
  local left = redis.call('PTTL', KEYS[1])
  if left < 0 or left > tonumber(ARGV[2]) then
    redis.call('PEXPIRE', KEYS[1], ARGV[2])
  end
  return 1
end
if not held then
  return 0
end
if type(held) == 'table' and not string.find(held.err, 'WRONGTYPE', 1, true) then
  return held
end
return -1
