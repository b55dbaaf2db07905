-- Takes one lock or several for an owner token, all or none, and raises their
-- fences to one fencing token.
--
-- A fence is the greatest fencing token that this server has accepted.
-- For a new owner it always rises; for an owner that holds its locks already,
-- which is a raise or a repeat, it rises to the proposal.
-- Executed twice it answers the same token.
--
-- For a waiter, who waits for one lock, it does what `claim.lua` does with the
-- line: a free lock goes to the lowest ticket, and who is refused enters.
--
-- Keys:      the locks, then the fence of each, then the line for a waiter
-- Arguments: 1 the owner token, 2 an owner token of our own process that may
--            be replaced, or nothing, 3 the milliseconds to keep the locks,
--            4 the proposed fencing token, 5 the milliseconds to keep fences;
--            for a waiter also 6 the stamp and 7 the number of its ticket,
--            8 the waiter to enter, 9 the milliseconds to keep the line
-- Replies:   the fencing token;
--            {n, value, milliseconds left or -1, greatest fence} when the nth
--            lock is another's, and a waiter's place in line or -1 after it;
--            {n, type} when the nth is no lock;
--            {n} when the fence of the nth is spoilt.
-- Numbers are texts: a script's own conversion loses digits above 10^14.
local limit = 9007199254740000 -- 2^53 - 992
local count = math.floor(#KEYS / 2)
local line = KEYS[2 * count + 1]
local token, from = ARGV[1], ARGV[2]
if line then
  from = reserved(token)
end
local proposal = tonumber(ARGV[4])

local fences, greatest = {}, 0
for n = 1, count do
  local fence = redis.pcall('GET', KEYS[count + n]) or '0'
  if type(fence) == 'table' then
    if string.find(fence.err, 'WRONGTYPE', 1, true) then
      return {n}
    end
    return fence
  end
  fence = tonumber(fence)
  if not (fence and fence >= 0 and fence <= limit) then
    return {n}
  end
  fences[n] = fence
  greatest = math.max(greatest, fence)
end

local fresh, reached, most, cap = {}, 0, 1, nil
for n = 1, count do
  local held = redis.pcall('GET', KEYS[n])
  if type(held) == 'table' then
    if string.find(held.err, 'WRONGTYPE', 1, true) then
      return {n, redis.call('TYPE', KEYS[n]).ok}
    end
    return held
  end
  local left
  if held and held ~= token and (from == '' or held ~= from) then
    left = redis.call('PTTL', KEYS[n])
  elseif not held and line then
    held, left = pass(KEYS[n], line, nil, tonumber(ARGV[6]), ARGV[7])
  end
  if left then
    local place = line and enter(line, ARGV[6], ARGV[7], ARGV[8], ARGV[9], held)
    -- More is no owner token of anybody's.
    held = string.sub(held, 1, 65536)
    return {n, held, left, string.format('%.0f', greatest), place}
  end
  local f
  if held == token then
    f = math.max(fences[n], proposal)
  else
    if not held then
      table.insert(fresh, KEYS[n])
    end
    if not cap then
      local now = redis.call('TIME')
      cap = now[1] * 1000000 + now[2] + 3600000000
    end
    f = math.max(fences[n] + 1, math.min(proposal, cap))
  end
  if f > reached then
    reached, most = f, n
  end
end
if reached > limit then
  return {most}
end

-- From the first write on nothing may end the script half-way. Fences come
-- first: one that is ahead harms nobody.
local answer = string.format('%.0f', reached)
local failure
for n = 1, count do
  local set = redis.pcall('SET', KEYS[count + n], answer, 'PX', ARGV[5])
  failure = failure or (set.err and set)
end
for n = 1, count do
  if not failure then
    local set = redis.pcall('SET', KEYS[n], token, 'PX', ARGV[3])
    failure = set.err and set
  end
end
if failure then
  for _, key in ipairs(fresh) do
    redis.pcall('DEL', key)
  end
  return failure
end
if line then
  leave(line, ARGV[6], ARGV[7])
end
return answer
