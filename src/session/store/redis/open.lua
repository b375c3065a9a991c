-- Arguments: the name, the expiry in milliseconds, the further keys, the user, created, last seen, version, about, jar.
local name, net, further, user = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
if redis.call('EXISTS', P .. 'd:' .. name) == 1 then return 0 end
local session = P .. 's:' .. name
redis.call('HSET', session, 'u', user, 'c', ARGV[5], 'l', ARGV[6], 'v', ARGV[7],
    'a', ARGV[8], 'j', ARGV[9], 'f', further)
redis.call('PEXPIRE', session, net)
redis.call('SADD', P .. 'u:' .. user, name)
redis.call('PEXPIRE', P .. 'u:' .. user, net)
for key in string.gmatch(further, '([%w_-]+) [^\n]*\n') do
    redis.call('SET', P .. 'k:' .. key, name, 'PX', net)
end
return 1
