-- where to begin, about how many
return redis.call('SCAN', ARGV[1], 'MATCH', P .. 's:*', 'COUNT', ARGV[2])
