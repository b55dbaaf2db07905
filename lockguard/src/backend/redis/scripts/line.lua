-- The line of a lock: who waits for it, by ticket. This text stands before each
-- script that uses it.
--
-- A sorted set of waiters by the stamps of their tickets; those of one stamp
-- stand in the order of their numbers, so that every server orders alike.
-- A waiter is "number milliseconds channel token": its ticket's number in 16
-- hex digits, for how long a lock is reserved for it (0: it is told, and the
-- lock goes to the next), where it is told so ("-": it asks by itself), and the
-- owner token of its next attempt.
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
  return string.match(waiter, '^(%x+) (%d+) (%S+) (.*)$')
end

-- Takes a ticket out of the line.
local function leave(line, stamp, number)
  for _, waiter in ipairs(redis.pcall('ZRANGEBYSCORE', line, stamp, stamp)) do
    if string.sub(waiter, 1, #number) == number then
      redis.pcall('ZREM', line, waiter)
    end
  end
end

-- Enters a ticket, or replaces its waiter, and keeps the line for so many
-- milliseconds; its place, from 0, or -1 where the server forbids it.
local function enter(line, stamp, number, waiter, life)
  leave(line, stamp, number)
  if type(redis.pcall('ZADD', line, stamp, waiter)) == 'table' then
    return -1
  end
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

-- Tells a waiter to ask, by the last 16 digits of its token, which give half of
-- its secret away, or to ask in a moment, by a "+" behind them; whether it
-- heard, or an error. Alien entries do not.
local function tell(channel, token, when)
  if not token then
    return 0
  end
  return channel == '-' and 1 or redis.pcall('PUBLISH', channel, string.sub(token, -16) .. when)
end

-- Tells the first in line to ask, and leaves it there.
local function tell_first(line, when)
  for _ = 1, 16 do
    local waiter = first_of(line)
    if not waiter then
      return
    end
    local _, _, channel, token = parts_of(waiter)
    local told = tell(channel, token, when)
    if type(told) == 'table' or told > 0 then
      return
    end
    redis.pcall('ZREM', line, waiter)
  end
end

-- Reserves the lock for the first in line that hears of it, if its ticket is
-- lower than this one; what the lock holds then, and for how many milliseconds.
local function pass(lock, line, stamp, number)
  for _ = 1, 16 do
    local waiter, at = first_of(line)
    if not waiter then
      return nil
    end
    local its, milliseconds, channel, token = parts_of(waiter)
    if stamp and its and (at > stamp or at == stamp and its >= number) then
      return nil
    end
    local told = tell(channel, token, '')
    if type(told) == 'table' then
      return nil
    end
    if redis.pcall('ZREM', line, waiter) ~= 1 then
      return nil
    end
    if told > 0 and milliseconds ~= '0' then
      if redis.pcall('SET', lock, reserved(token), 'PX', milliseconds).err then
        return nil
      end
      return reserved(token), tonumber(milliseconds)
    end
  end
end

