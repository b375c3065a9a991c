-- where to go on. The sign of the gateways' keys stays, so that those with other keys are still refused.
local found = redis.call('SCAN', ARGV[1], 'MATCH', P .. '*', 'COUNT', 1000)
for _, key in ipairs(found[2]) do
    if key ~= P .. 'key' then redis.call('UNLINK', key) end
end
return found[1]
