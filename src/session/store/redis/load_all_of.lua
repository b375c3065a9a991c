-- Arguments: the user, and the number of sessions up to which nothing is returned.
local found, names = {}, redis.call('SMEMBERS', P .. 'u:' .. ARGV[1])
if #names <= tonumber(ARGV[2]) then return found end
-- A session whose key has expired is still in the set.
for _, name in ipairs(names) do table.insert(found, record(name) or nil) end
return found
