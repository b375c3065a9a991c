-- Arguments: the gateway, the fingerprint of its keys, and whether it replaces the stored fingerprint ('1').
if ARGV[3] == '1' then
    redis.call('SET', P .. 'key', ARGV[2])
else
    redis.call('SET', P .. 'key', ARGV[2], 'NX')
end
local last = redis.call('XREVRANGE', P .. 'e', '+', '-', 'COUNT', 1)[1]
local event = last and last[1] or redis.call('XADD', P .. 'e', '*', 'j', ARGV[1])
return { event, redis.call('GET', P .. 'key') }
