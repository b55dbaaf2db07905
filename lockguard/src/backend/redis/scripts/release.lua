-- Frees a lock, if the owner token holds it: at once, or when a rest of its
-- time has passed. What is free is passed to the first in line, unless it is left
-- open: then whoever asks gets it, and the first in line asks in a moment.
--
-- A waiter gives back what an attempt took: its ticket stays in line, and the
-- lock goes to a lower one or to nobody. One that gives up takes its ticket out.
-- Executed twice it finds nothing the second time, or another owner, whom it
-- leaves alone; a rest never lengthens the lock's time.
--
-- Frees several in the same way, one after the other, where there is nothing to
-- say but their tokens.
--
-- Keys:      the locks, then the line of each; the only lock, and its line where
--            the user has a right to it
-- Arguments: 1 the owner token, 2 the milliseconds to keep it from now, or "open",
--            if any,
--            3 the stamp and 4 the number of a ticket to take out, if any,
--            5 the waiter to enter in its place and 6 the milliseconds to keep
--            the line, if it stays;
--            for several locks the owner token of each
-- Replies:   1 freed, 0 nobody holds it, -1 something else does;
--            an error where the lock is not given back, or the ticket stays;
--            for several locks this for each, or 1 where all were freed and nobody
--            waits.
--
-- `count`, `freed` and `left` are of `release_alone.lua`, which stands before this:
-- how many locks there are, how many of them, from the first, it has freed, and
-- what is left of the time of the next one's line, if it has asked.
local function release(lock, line, left, token, keep, stamp, number, waiter, life)
  local rest = tonumber(keep)
  local held = redis.pcall('GET', lock)
  if type(held) == 'table' and not string.find(held.err, 'WRONGTYPE', 1, true) then
    return held
  end
  local failure
  if line and waiter then
    enter(line, stamp, number, waiter, life)
  elseif line and number then
    failure = leave(line, stamp, number)
  end
  if held and held ~= token and held ~= reserved(token) then
    -- Whom it is reserved for does not hold it yet.
    local is_reserved = type(held) == 'string' and string.find(held, '^lg1:.* reserved$')
    return failure or (is_reserved and 0 or -1)
  end
  if held and rest then
    local kept = redis.pcall('PTTL', lock)
    if type(kept) == 'number' and (kept < 0 or kept > rest) then
      kept = redis.pcall('PEXPIRE', lock, keep)
    end
    if line then
      tell_first(line, '')
    end
    return type(kept) == 'table' and kept or 1
  end
  if held and keep == 'open' then
    local opened = redis.pcall('DEL', lock)
    if line then
      tell_first(line, '+')
    end
    return type(opened) == 'table' and opened or 1
  end
  if line and pass(lock, line, left, waiter and tonumber(stamp), number) then
    return held and 1 or 0
  end
  if not held then
    return failure or 0
  end
  local freed = redis.pcall('DEL', lock)
  return type(freed) == 'table' and freed or 1
end

if count == 1 then
  return release(KEYS[1], KEYS[2], left, unpack(ARGV))
end
local replies = {}
for nth = 1, freed do
  replies[nth] = 1
end
for nth = freed + 1, count do
  replies[nth] = release(KEYS[nth], KEYS[count + nth], nil, ARGV[nth])
end
return replies
