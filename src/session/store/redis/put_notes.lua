-- Arguments: the gateway, the kind, the maximum number of notes, then a time, a key and a content for each note.
local kind, known = ARGV[2], P .. 'n:' .. ARGV[2]
for at = 4, #ARGV, 3 do
    if ARGV[at + 2] == '' then
        redis.call('HDEL', known, ARGV[at + 1])
        redis.call('ZREM', known .. ':age', ARGV[at + 1])
    else
        redis.call('HSET', known, ARGV[at + 1], ARGV[at + 2])
        redis.call('ZADD', known .. ':age', ARGV[at], ARGV[at + 1])
    end
end
local surplus = redis.call('ZCARD', known .. ':age') - tonumber(ARGV[3])
if surplus > 0 then
    local oldest = redis.call('ZPOPMIN', known .. ':age', surplus)
    for at = 1, #oldest, 2 do redis.call('HDEL', known, oldest[at]) end
end
-- Debts are read when they are needed; learned names have to be known to every gateway, so an event is sent for them.
return kind == '2' and tell('o', kind, 'r', ARGV[1]) or ''
