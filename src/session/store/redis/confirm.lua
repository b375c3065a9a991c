-- Deleting comes first: see remove().
redis.call('DEL', P .. 'w')
redis.call('SET', P .. 'w', '1')
