-- a key of the session, version, jar
local name = name_of(ARGV[1])
if not name then return 0 end
local session = P .. 's:' .. name
if tonumber(redis.call('HGET', session, 'v')) + 1 ~= tonumber(ARGV[2]) then return 1 end
redis.call('HSET', session, 'v', ARGV[2], 'j', ARGV[3])
return 2
