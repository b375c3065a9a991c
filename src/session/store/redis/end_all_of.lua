-- Arguments: the gateway, the time in milliseconds for which the ends are remembered, the user.
local ended = {}
for at, name in ipairs(redis.call('SMEMBERS', P .. 'u:' .. ARGV[3])) do
    -- A session whose key has expired is still in the set.
    local fields = record(name)
    if fields then
        table.insert(ended, fields)
        remove(name, ARGV[1], ARGV[2])
    end
end
redis.call('DEL', P .. 'u:' .. ARGV[3])
-- The last event also covers sessions that others have ended before: when it was read, all sessions of the user are
-- known to have ended.
local last = redis.call('XREVRANGE', P .. 'e', '+', '-', 'COUNT', 1)
return { replicas(), last[1] and last[1][1] or '', ended }
