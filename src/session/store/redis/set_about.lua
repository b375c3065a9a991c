-- Arguments: the gateway, a key of the session, about.
local name = name_of(ARGV[2])
if not name then return { 0, {}, '' } end
redis.call('HSET', P .. 's:' .. name, 'a', ARGV[3])
return { 1, replicas(), tell('c', name, 'a', '1', 'r', ARGV[1]) }
