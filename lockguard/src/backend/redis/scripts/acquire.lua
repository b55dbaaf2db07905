-- Takes several locks for an owner token: all of them, or none.
--
-- Executed twice it finds its own locks and leaves their time alone; what is
-- missing of them is taken again.
--
-- Keys:      the locks
-- Arguments: 1 the owner token, 2 the milliseconds to keep them
-- Replies:   1 taken;
--            {n, value, milliseconds left or -1} when the nth is another's;
--            {n, type} when the nth is no lock.
local missing = {}
for n, key in ipairs(KEYS) do
  local held = redis.pcall('GET', key)
  if not held then
    table.insert(missing, key)
  elseif type(held) == 'table' then
    if string.find(held.err, 'WRONGTYPE', 1, true) then
      return {n, redis.call('TYPE', key).ok}
    end
    return held
  elseif held ~= ARGV[1] then
    -- More is no owner token of anybody's.
    return {n, string.sub(held, 1, 65536), redis.call('PTTL', key)}
  end
end
for n, key in ipairs(missing) do
  local set = redis.pcall('SET', key, ARGV[1], 'PX', ARGV[2])
  if set.err then
    -- A right to some of the keys only: give back what this run has taken.
    for taken = 1, n - 1 do
      redis.pcall('DEL', missing[taken])
    end
    return set
  end
end
return 1
