-- Arguments: the user, and the number of sessions up to which nothing is returned.
local found, sessions = {}, P .. 'u:' .. ARGV[1]
if redis.call('SCARD', sessions) <= tonumber(ARGV[2]) then return found end
-- A session whose key has expired is still in the set.
for _, name in ipairs(redis.call('SMEMBERS', sessions)) do table.insert(found, record(name) or nil) end
return found
