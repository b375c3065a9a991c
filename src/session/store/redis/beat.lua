-- the gateway, what it says of itself, pairs of a gateway and what it said last before it fell silent
-- Deleting comes first: see remove().
redis.call('HDEL', P .. 'r', ARGV[1])
redis.call('HSET', P .. 'r', ARGV[1], ARGV[2])
for at = 3, #ARGV, 2 do
    if redis.call('HGET', P .. 'r', ARGV[at]) == ARGV[at + 1] then redis.call('HDEL', P .. 'r', ARGV[at]) end
end
local first = redis.call('XRANGE', P .. 'e', '-', '+', 'COUNT', 1)[1]
local last = redis.call('XREVRANGE', P .. 'e', '+', '-', 'COUNT', 1)[1]
if not first then
    -- An empty stream tells nobody that it was emptied.
    local event = redis.call('XADD', P .. 'e', '*', 'j', ARGV[1])
    return { event, event, replicas() }
end
return { first[1], last[1], replicas() }
