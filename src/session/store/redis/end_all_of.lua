-- the gateway, for how long an end is remembered, the user
local ended = {}
for at, name in ipairs(redis.call('SMEMBERS', P .. 'u:' .. ARGV[3])) do
    -- One that only its time to live has ended is still in the list.
    local fields = record(name)
    if fields then
        table.insert(ended, fields)
        remove(name, ARGV[1], ARGV[2])
    end
end
redis.call('DEL', P .. 'u:' .. ARGV[3])
-- Also what others have ended before: all of this user's sessions are over once this event was read.
local last = redis.call('XREVRANGE', P .. 'e', '+', '-', 'COUNT', 1)
return { replicas(), last[1] and last[1][1] or '', ended }
