-- Arguments: the kind, the key.
local known = P .. 'n:' .. ARGV[1]
local content = redis.call('HGET', known, ARGV[2])
return content and { { ARGV[2], redis.call('ZSCORE', known .. ':age', ARGV[2]) or '0', content } } or {}
