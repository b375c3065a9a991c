-- Arguments: keys of sessions.
local found = {}
for at, key in ipairs(ARGV) do found[at] = record(key) end
return found
