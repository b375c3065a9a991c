-- Arguments: a key of the session, about.
local name = name_of(ARGV[1])
if not name then return 0 end
redis.call('HSET', P .. 's:' .. name, 'a', ARGV[2])
return 1
