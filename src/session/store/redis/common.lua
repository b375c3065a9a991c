-- The common beginning of all scripts. KEYS[1] is the prefix of every key that is used: with the same hash tag in it,
-- all of them are in one slot. KEYS[2] is the stream of events: see invocation() in link.rs.
--   s:NAME  a session: its user, times, version, about, jar, and the keys of further hosts
--   k:KEY   the name of the session with a further key
--   u:USER  the names of a user's sessions
--   d:KEY   the event that ended the session with this key
--   n:KIND  notes by their keys, and n:KIND:age their times
--   x:CODE  the content of a hand-over code
--   l:GATEWAY  how many connections use which sessions there
--   e       the events, a stream
--   key     the fingerprint of the gateways' keys: all gateways have the same
--   w       written in order to wait until the replicas have received everything
--   r       for each gateway its last heartbeat: the last event that it has read, and a counter
local P = KEYS[1]
-- The number of events that are kept. A gateway that missed more has to confirm each session again.
local EVENTS = 100000

local function name_of(key)
    if redis.call('EXISTS', P .. 's:' .. key) == 1 then return key end
    local name = redis.call('GET', P .. 'k:' .. key)
    if name and redis.call('EXISTS', P .. 's:' .. name) == 1 then return name end
end

local function record(key)
    local name = name_of(key)
    if not name then return false end
    local fields = redis.call('HMGET', P .. 's:' .. name, 'u', 'c', 'l', 'v', 'a', 'j', 'f')
    table.insert(fields, 1, name)
    return fields
end

-- Appends an event for the other gateways.
local function tell(...)
    return redis.call('XADD', P .. 'e', 'MAXLEN', '~', EVENTS, '*', ...)
end

-- Deleting comes first: when Redis has reached maxmemory, it refuses a script whose first write needs memory, but lets
-- a script continue that has begun with a deletion.
local function remove(name, replica, remembered)
    local session = P .. 's:' .. name
    local fields = redis.call('HMGET', session, 'u', 'f')
    redis.call('DEL', session)
    redis.call('SREM', P .. 'u:' .. fields[1], name)
    local event = tell('n', name, 'r', replica)
    redis.call('SET', P .. 'd:' .. name, event, 'PX', remembered)
    for key in string.gmatch(fields[2], '([%w_-]+) [^\n]*\n') do
        redis.call('DEL', P .. 'k:' .. key)
        redis.call('SET', P .. 'd:' .. key, event, 'PX', remembered)
    end
    return event
end

local function replicas()
    return redis.call('HGETALL', P .. 'r')
end
