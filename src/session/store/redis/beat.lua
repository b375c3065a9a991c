-- Arguments: the gateway, its heartbeat, then pairs of a silent gateway and its last heartbeat, which are removed.
-- Deleting comes first: see remove().
redis.call('HDEL', P .. 'r', ARGV[1])
redis.call('HSET', P .. 'r', ARGV[1], ARGV[2])
for at = 3, #ARGV, 2 do
    if redis.call('HGET', P .. 'r', ARGV[at]) == ARGV[at + 1] then redis.call('HDEL', P .. 'r', ARGV[at]) end
end
local first = redis.call('XRANGE', P .. 'e', '-', '+', 'COUNT', 1)[1]
-- Whoever was a replica, even for a moment, has another number of its data since: it may lack what it had confirmed.
local history = string.match(redis.call('INFO', 'replication'), 'master_replid:(%w+)') or ''
local last = redis.call('XREVRANGE', P .. 'e', '+', '-', 'COUNT', 1)[1]
if not first then
    -- An empty stream would not show that it was emptied: start it again with an event that concerns no session.
    local event = redis.call('XADD', P .. 'e', '*', 'j', ARGV[1])
    return { event, event, replicas(), history }
end
return { first[1], last[1], replicas(), history }
