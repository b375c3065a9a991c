-- the user, and more than how many sessions they have to have
local found, names = {}, redis.call('SMEMBERS', P .. 'u:' .. ARGV[1])
if #names <= tonumber(ARGV[2]) then return found end
-- One that only its time to live has ended is still in the list.
for _, name in ipairs(names) do table.insert(found, record(name) or nil) end
return found
