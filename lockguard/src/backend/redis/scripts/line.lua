-- The line of a lock: who waits for it, by ticket. This text stands before each
-- script that uses it.
--
-- A sorted set of waiters by the stamps of their tickets; those of one stamp
-- stand in the order of their numbers, so that every server orders alike.
-- A waiter is "number asked window ttl channel token": its ticket's number in 16
-- hex digits, when it asked, for how long a lock is reserved for it (0: it is
-- told, and the lock goes to the next), for how long it is granted where it has
-- just asked (0: never), where it is told so ("-": it asks by itself), and the
-- owner token of its next attempt. Times are milliseconds; a waiter comes without
-- the second word, which `enter` adds.
--
-- What is left of the line's own time is its clock, since that is asked for
-- anyway. It runs backwards, and leaps to the same time whenever the line is kept
-- for longer: who asked just after one leap, and has not asked again by the next,
-- is taken for one that has just asked. Its own clock tells it that it has not.
--
-- A lock that is reserved holds the waiter's token and " reserved": its claim is
-- a new owner's, which a fence must tell from a repeat.
--
-- Nothing in here ends a script half-way: each command's error is looked at.

local function reserved(token)
  return token .. ' reserved'
end

-- The first in line, and its stamp.
local function first_of(line)
  local first = redis.pcall('ZRANGE', line, 0, 0, 'WITHSCORES')
  return first[1], tonumber(first[2])
end

-- Takes the first out of the line, if its ticket is lower than this one; any, if
-- there is none.
local function take_first(line, stamp, number)
  if not stamp then
    return redis.pcall('ZPOPMIN', line)[1]
  end
  local waiter, at = first_of(line)
  if not waiter or at > stamp or at == stamp and string.sub(waiter, 1, #number) >= number then
    return nil
  end
  return redis.pcall('ZREM', line, waiter) == 1 and waiter
end

local function parts_of(waiter)
  return string.match(waiter, '^(%x+) (%d+) (%d+) (%d+) (%S+) (.*)$')
end

-- So recently that its lease loses little of its ttl, and that few can hang with
-- a grant.
local function has_just_asked(asked, left, ttl)
  local age = type(left) == 'number' and math.abs(asked - left)
  return ttl > 0 and age and age <= 10 and 20 * age <= ttl
end

-- Takes a ticket out of the line; the error, where the server refuses to, and
-- whether it was there.
local function leave(line, stamp, number)
  local failure, was_there
  for _, waiter in ipairs(redis.pcall('ZRANGEBYSCORE', line, stamp, stamp)) do
    if string.sub(waiter, 1, #number) == number then
      local left = redis.pcall('ZREM', line, waiter)
      failure = type(left) == 'table' and left or failure
      was_there = true
    end
  end
  return failure, was_there
end

-- Enters a ticket, or replaces its waiter, and keeps the line for three quarters
-- of so many milliseconds at least; its place, from 0, or -1 where the server
-- forbids it.
--
-- Whoever comes anew is the first or has one before it; how many, it is told when
-- it asks again. It is counted at once where another library holds the lock, whose
-- release tells nobody: then the first in line has to look.
local function enter(line, stamp, number, waiter, life, held)
  local _, was_there = leave(line, stamp, number)
  local left = redis.pcall('PTTL', line)
  local is_short = type(left) == 'table' or 4 * left < 3 * tonumber(life)
  local asked = is_short and life or string.format('%.0f', left)
  waiter = string.gsub(waiter, ' ', ' ' .. asked .. ' ', 1)
  if type(redis.pcall('ZADD', line, stamp, waiter)) == 'table' then
    return -1
  end
  if is_short and type(redis.pcall('PEXPIRE', line, life)) == 'table' then
    redis.pcall('ZREM', line, waiter)
    return -1
  end
  if not was_there and held and string.find(held, '^lg1:') then
    return left == -2 and 0 or 1
  end
  local place = redis.pcall('ZRANK', line, waiter)
  return type(place) == 'number' and place or -1
end

-- Tells a waiter something; whether it heard, or an error.
--
-- That its lock is reserved is told by the last 16 digits of its token, which
-- give half of its secret away, that it is open by a "+" behind them, and that
-- it is granted by all 32: before they are told, only those know them who may
-- read the line.
local function tell(channel, message)
  return channel == '-' and 1 or redis.pcall('PUBLISH', channel, message)
end

-- Tells the first in line to ask, and leaves it there.
local function tell_first(line, when)
  for _ = 1, 16 do
    local waiter = first_of(line)
    if not waiter then
      return
    end
    local _, _, _, _, channel, token = parts_of(waiter)
    local told = token and tell(channel, string.sub(token, -16) .. when) or 0
    if type(told) == 'table' or told > 0 then
      return
    end
    redis.pcall('ZREM', line, waiter)
  end
end

-- Reserves the lock for the first in line that hears of it, if its ticket is
-- lower than this one; what the lock holds then, and for how many milliseconds.
-- `left` is what is left of the line's time, if it is known.
--
-- To one that has just asked it is granted instead: the message is the second
-- answer to what it asked, and its lease counts from then. So it goes out last,
-- when nothing can fail any more. Whoever cannot be told, or cannot have the
-- lock, is out of the line until it asks again.
local function pass(lock, line, left, stamp, number)
  left = left or redis.pcall('PTTL', line)
  -- There is no such line.
  if left == -2 then
    return nil
  end
  for _ = 1, 16 do
    local waiter = take_first(line, stamp, number)
    if not waiter then
      return nil
    end
    local its, asked, window, ttl, channel, token = parts_of(waiter)
    if its then
      local value, keep, message = reserved(token), window, string.sub(token, -16)
      if channel ~= '-' and has_just_asked(asked, left, tonumber(ttl)) then
        value, keep, message = token, ttl, string.sub(token, -32)
      end
      if keep ~= '0' and redis.pcall('SET', lock, value, 'PX', keep).err then
        return nil
      end
      local told = tell(channel, message)
      if type(told) == 'number' and told > 0 and keep ~= '0' then
        return value, tonumber(keep)
      end
      if keep ~= '0' then
        redis.pcall('DEL', lock)
      end
      if type(told) == 'table' then
        return nil
      end
    end
  end
end

