-- Tells who holds a lock; changes nothing.
--
-- Keys:    1 the lock
-- Replies: nil when nobody holds it;
--          {value, milliseconds left or -1} when somebody does;
--          the name of the key's type when it is no lock.
local held = redis.pcall('GET', KEYS[1])
if not held then
  return false
end
if type(held) == 'table' then
  if string.find(held.err, 'WRONGTYPE', 1, true) then
    return redis.call('TYPE', KEYS[1]).ok
  end
  return held
end
-- More is no owner token of anybody's.
return {string.sub(held, 1, 65536), redis.call('PTTL', KEYS[1])}
