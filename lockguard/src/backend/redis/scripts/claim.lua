-- Takes a lock for a waiter, or enters its ticket into the line.
--
-- Its own lock, reserved or held, is kept for the whole time again. A free one
-- goes to the lowest ticket: to this one, or to the first in line, who is told.
-- Who wants more than this lock takes nothing, and enters where it is held.
-- Executed twice it finds its own lock, or enters the same waiter.
--
-- Keys:      1 the lock, 2 its line
-- Arguments: 1 the owner token, 2 the milliseconds to keep the lock, or 0 to
--            take nothing, 3 the stamp and 4 the number of the ticket, 5 the waiter to enter,
--            6 the milliseconds to keep the line
-- Replies:   1 taken; 0 free, and not taken;
--            {value, milliseconds left or -1, place in line or -1} when it is
--            another's;
--            the name of the key's type when it is no lock.
local lock, line, token = KEYS[1], KEYS[2], ARGV[1]
local stamp, number = tonumber(ARGV[3]), ARGV[4]
local held = redis.pcall('GET', lock)
if type(held) == 'table' then
  if string.find(held.err, 'WRONGTYPE', 1, true) then
    return redis.call('TYPE', lock).ok
  end
  return held
end
if not held and ARGV[2] == '0' then
  return 0
end
local left
if not held then
  held, left = pass(lock, line, nil, stamp, number)
elseif held ~= token and held ~= reserved(token) then
  left = redis.call('PTTL', lock)
end
if left then
  local place = enter(line, ARGV[3], number, ARGV[5], ARGV[6], held)
  -- More is no owner token of anybody's.
  return {string.sub(held, 1, 65536), left, place}
end
local set = redis.pcall('SET', lock, token, 'PX', ARGV[2])
if set.err then
  return set
end
leave(line, ARGV[3], number)
return 1
