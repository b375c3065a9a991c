-- a key of the session, the new key, its host, net
local name = name_of(ARGV[1])
if not name then return 0 end
local session, kept = P .. 's:' .. name, ''
for key, host in string.gmatch(redis.call('HGET', session, 'f'), '([%w_-]+) ([^\n]*)\n') do
    if host == ARGV[3] then
        redis.call('DEL', P .. 'k:' .. key)
    else
        kept = kept .. key .. ' ' .. host .. '\n'
    end
end
redis.call('HSET', session, 'f', kept .. ARGV[2] .. ' ' .. ARGV[3] .. '\n')
redis.call('SET', P .. 'k:' .. ARGV[2], name, 'PX', ARGV[4])
return 1
