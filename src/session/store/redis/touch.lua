-- Arguments: pairs of the name of a session and a time.
for at = 1, #ARGV, 2 do
    local session = P .. 's:' .. ARGV[at]
    local seen = redis.call('HGET', session, 'l')
    if seen and tonumber(seen) < tonumber(ARGV[at + 1]) then redis.call('HSET', session, 'l', ARGV[at + 1]) end
end
return 1
