-- Arguments: the kind, the rank of the first note from the newest, the number of notes.
local known, notes = P .. 'n:' .. ARGV[1], {}
local keys = redis.call('ZREVRANGE', known .. ':age', ARGV[2], ARGV[2] + ARGV[3] - 1, 'WITHSCORES')
for at = 1, #keys, 2 do
    notes[(at + 1) / 2] = { keys[at], keys[at + 1], redis.call('HGET', known, keys[at]) or '' }
end
return notes
