-- Keeps locks for longer, each if its owner token holds it.
--
-- Never creates a key and never shortens its time, so that it can be executed
-- twice; a key without expiry stays without.
--
-- Keys:      the locks
-- Arguments: for each key the owner token, and the milliseconds to keep it
--            from now
-- Replies:   for each key 1 extended, 0 nobody holds it, -1 something else
--            does, or the error that it met.
local replies = {}
for nth, key in ipairs(KEYS) do
  local token, keep = ARGV[2 * nth - 1], ARGV[2 * nth]
  local reply = -1
  local held = redis.pcall('GET', key)
  if held == token then
    local left = redis.pcall('PTTL', key)
    reply = 1
    if type(left) == 'table' then
      reply = left
    elseif left >= 0 and left < tonumber(keep) then
      local kept = redis.pcall('PEXPIRE', key, keep)
      if type(kept) == 'table' then
        reply = kept
      end
    end
  elseif not held then
    reply = 0
  elseif type(held) == 'table' and not string.find(held.err, 'WRONGTYPE', 1, true) then
    reply = held
  end
  replies[nth] = reply
end
return replies
