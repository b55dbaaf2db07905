-- Keeps a lock for longer, if the owner token holds it.
--
-- Never creates the key and never shortens its time, so that it can be
-- executed twice; a key without expiry stays without.
--
-- Keys:      1 the lock
-- Arguments: 1 the owner token, 2 the milliseconds to keep it from now
-- Replies:   1 extended, 0 nobody holds it, -1 something else does.
local held = redis.pcall('GET', KEYS[1])
if held == ARGV[1] then
  local left = redis.call('PTTL', KEYS[1])
  if left >= 0 and left < tonumber(ARGV[2]) then
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
