-- Arguments: the gateway, the time in milliseconds for which the ends are remembered, the cut-off, keys of sessions.
local ends = {}
for at = 4, #ARGV do
    local name = name_of(ARGV[at])
    local seen = name and redis.call('HGET', P .. 's:' .. name, 'l')
    if not name then
        ends[at - 3] = { 0, redis.call('GET', P .. 'd:' .. ARGV[at]) or '' }
    elseif tonumber(seen) > tonumber(ARGV[3]) then
        ends[at - 3] = { 2, seen }
    else
        ends[at - 3] = { 1, remove(name, ARGV[1], ARGV[2]) }
    end
end
return ends
