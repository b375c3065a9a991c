-- Argument: the cursor of the scan. The fingerprint of the keys stays, so that gateways with other keys are still
-- refused.
local found = redis.call('SCAN', ARGV[1], 'MATCH', P .. '*', 'COUNT', 1000)
for _, key in ipairs(found[2]) do
    if key ~= P .. 'key' then redis.call('UNLINK', key) end
end
return found[1]
