-- Arguments: the cursor, the approximate number of keys.
return redis.call('SCAN', ARGV[1], 'MATCH', P .. 's:*', 'COUNT', ARGV[2])
