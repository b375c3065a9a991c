-- the code's hash
local content = redis.call('GET', P .. 'x:' .. ARGV[1])
redis.call('DEL', P .. 'x:' .. ARGV[1])
return content or ''
