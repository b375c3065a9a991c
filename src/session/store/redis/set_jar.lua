-- Arguments: the gateway, a key of the session, the version, the jar.
local name = name_of(ARGV[2])
if not name then return { 0, {}, '' } end
local session = P .. 's:' .. name
if tonumber(redis.call('HGET', session, 'v')) + 1 ~= tonumber(ARGV[3]) then return { 1, {}, '' } end
redis.call('HSET', session, 'v', ARGV[3], 'j', ARGV[4])
return { 2, replicas(), tell('c', name, 'v', ARGV[3], 'r', ARGV[1]) }
