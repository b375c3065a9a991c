-- Arguments: the gateway, a key of the session, the new key, its host, the expiry of the new key in milliseconds.
local name = name_of(ARGV[2])
if not name then return { 0, {}, '' } end
local session, kept, replaced = P .. 's:' .. name, '', ''
for key, host in string.gmatch(redis.call('HGET', session, 'f'), '([%w_-]+) ([^\n]*)\n') do
    if host == ARGV[4] then
        redis.call('DEL', P .. 'k:' .. key)
        replaced = key
    else
        kept = kept .. key .. ' ' .. host .. '\n'
    end
end
redis.call('HSET', session, 'f', kept .. ARGV[3] .. ' ' .. ARGV[4] .. '\n')
redis.call('SET', P .. 'k:' .. ARGV[3], name, 'PX', ARGV[5])
return { 1, replicas(), tell('c', name, 'x', replaced, 'r', ARGV[1]) }
