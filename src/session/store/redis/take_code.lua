-- Argument: the hash of the code.
local content = redis.call('GET', P .. 'x:' .. ARGV[1])
redis.call('DEL', P .. 'x:' .. ARGV[1])
return content or ''
