-- Arguments: the gateway, the time in milliseconds for which the ends are remembered, then keys of sessions.
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
