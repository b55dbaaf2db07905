-- Keeps locks for longer, each if its owner token holds it.
--
-- Never creates a key and never shortens its time, so that it can be executed
-- twice; a key without expiry stays without.
--
-- A successor takes the owner's place in the same step; it is found there
-- when this is executed again.
--
-- Keys:      the locks
-- Arguments: for each key the owner token, the milliseconds to keep it from
--            now, and the successor's token, or nothing
-- Replies:   for each key 1 extended, 0 nobody holds it, -1 something else
--            does, or the error that it met.
local replies = {}
for nth, key in ipairs(KEYS) do
  local token, keep, successor = ARGV[3 * nth - 2], ARGV[3 * nth - 1], ARGV[3 * nth]
  local reply = -1
  local held = redis.pcall('GET', key)
  if held == token or (successor ~= '' and held == successor) then
    local done = redis.pcall('PTTL', key)
    local is_handed_on = successor ~= '' and held ~= successor
    local left, keep = tonumber(done), tonumber(keep)
    -- Also where it is long enough: behind a write that takes no memory a script
    -- may SET on a server that is full.
    if left and left >= 0 and (left < keep or is_handed_on) then
      done = redis.pcall('PEXPIRE', key, math.max(left, keep))
    end
    if type(done) == 'number' and is_handed_on then
      done = redis.pcall('SET', key, successor, 'KEEPTTL')
    end
    reply = 1
    if type(done) == 'table' and done.err then
      reply = done
    end
  elseif not held then
    reply = 0
  elseif type(held) == 'table' and not string.find(held.err, 'WRONGTYPE', 1, true) then
    reply = held
  end
  replies[nth] = reply
end
return replies
