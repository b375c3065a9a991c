-- Arguments: the hash of the code, its content, the expiry in milliseconds.
redis.call('SET', P .. 'x:' .. ARGV[1], ARGV[2], 'PX', ARGV[3])
return 1
