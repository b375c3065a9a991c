-- Arguments: the gateway, for how many milliseconds its numbers of connections hold, and the numbers, which only
-- gateways read. Answers those of the other gateways.
local own = P .. 'l:' .. ARGV[1]
redis.call('DEL', own)
if #ARGV[3] > 0 then redis.call('SET', own, ARGV[3], 'PX', ARGV[2]) end
local others = {}
for _, gateway in ipairs(redis.call('HKEYS', P .. 'r')) do
    local numbers = gateway ~= ARGV[1] and redis.call('GET', P .. 'l:' .. gateway)
    if numbers then table.insert(others, numbers) end
end
return others
