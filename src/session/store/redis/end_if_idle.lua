-- the gateway, for how long an end is remembered, cut-off, keys
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
