-- Puts an owner token in the place of another of the same process, which is
-- dead from then on.
--
-- Executed twice it finds the new one, and keeps the lock for the whole time
-- again.
--
-- Keys:      1 the lock
-- Arguments: 1 the new owner token, 2 the milliseconds to keep the lock,
--            3 the old owner token
-- Replies:   1 taken; nil when nobody holds it;
--            {value, milliseconds left or -1} when it is another's;
--            the name of the key's type when it is no lock.
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
if held ~= ARGV[1] and held ~= ARGV[3] then
  -- More is no owner token of anybody's.
  return {string.sub(held, 1, 65536), redis.call('PTTL', KEYS[1])}
end
local set = redis.pcall('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return set.err and set or 1
