-- the code's hash, what it is good for, for how long
redis.call('SET', P .. 'x:' .. ARGV[1], ARGV[2], 'PX', ARGV[3])
return 1
