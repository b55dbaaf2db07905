-- The line of a lock: who waits for it, by ticket. This text stands before each
-- script that uses it.
--
-- A sorted set of waiters by the stamps of their tickets; those of one stamp
-- stand in the order of their numbers, so that every server orders alike.
-- A waiter is "number asked window ttl channel token": its ticket's number in 16
-- hex digits, when it asked by this server's clock, for how long a lock is
-- reserved for it (0: it is told, and the lock goes to the next), for how long
-- it is granted where it has just asked (0: never), where it is told so ("-": it
-- asks by itself), and the owner token of its next attempt. Times are
-- milliseconds; a waiter comes without the second word, which `enter` adds.
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

local function parts_of(waiter)
  return string.match(waiter, '^(%x+) (%d+) (%d+) (%d+) (%S+) (.*)$')
end

-- By this server's clock, in milliseconds; nil where the user may not ask.
local function now()
  local time = redis.pcall('TIME')
  return time[1] and time[1] * 1000 + math.floor(time[2] / 1000)
end

-- So recently that its lease loses little of its ttl, and that few can hang with
-- a grant.
local function has_just_asked(asked, ttl)
  local at = ttl > 0 and now()
  local age = at and math.abs(at - asked)
  return age and age <= 10 and 20 * age <= ttl
end

-- Takes a ticket out of the line; the error, where the server refuses to.
local function leave(line, stamp, number)
  local failure
  for _, waiter in ipairs(redis.pcall('ZRANGEBYSCORE', line, stamp, stamp)) do
    if string.sub(waiter, 1, #number) == number then
      local left = redis.pcall('ZREM', line, waiter)
      failure = type(left) == 'table' and left or failure
    end
  end
  return failure
end

-- Enters a ticket, or replaces its waiter, and keeps the line for so many
-- milliseconds; its place, from 0, or -1 where the server forbids it.
local function enter(line, stamp, number, waiter, life)
  leave(line, stamp, number)
  local is_never_granted = string.find(waiter, '^%x+ %d+ 0 ')
  local asked = not is_never_granted and now() or 0
  waiter = string.gsub(waiter, ' ', string.format(' %.0f ', asked), 1)
  -- Where it is refused, the waiter has no place in the end.
  redis.pcall('ZADD', line, stamp, waiter)
  local left = redis.pcall('PTTL', line)
  if type(left) == 'table' or left < tonumber(life) then
    if type(redis.pcall('PEXPIRE', line, life)) == 'table' then
      redis.pcall('ZREM', line, waiter)
      return -1
    end
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
--
-- To one that has just asked it is granted instead: the message is the second
-- answer to what it asked, and its lease counts from then. So it goes out last,
-- when nothing can fail any more. Whoever cannot be told, or cannot have the
-- lock, is out of the line until it asks again.
local function pass(lock, line, stamp, number)
  for _ = 1, 16 do
    local waiter, at = first_of(line)
    if not waiter then
      return nil
    end
    local its, asked, window, ttl, channel, token = parts_of(waiter)
    if stamp and its and (at > stamp or at == stamp and its >= number) then
      return nil
    end
    if redis.pcall('ZREM', line, waiter) ~= 1 then
      return nil
    end
    if its then
      local value, keep, message = reserved(token), window, string.sub(token, -16)
      if channel ~= '-' and has_just_asked(asked, tonumber(ttl)) then
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

