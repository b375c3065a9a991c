-- the gateway, for how long an end is remembered, keys
local ends = {}
for at = 3, #ARGV do
    local name = name_of(ARGV[at])
    if name then
        ends[at - 2] = { 1, remove(name, ARGV[1], ARGV[2]) }
    else
        ends[at - 2] = { 0, redis.call('GET', P .. 'd:' .. ARGV[at]) or '' }
    end
end
return { replicas(), ends }
