-- What wrk asks: the head of a browser or of a program, one cookie or one of a list a request, at any rate or at a
-- fixed one. In the end one line of JSON.
local heads = {}
local at = 0
local pause = tonumber(os.getenv("LOAD_PAUSE_MS") or "0")

local function lines_of(file)
    local lines = {}
    for line in io.lines(file) do lines[#lines + 1] = line end
    return lines
end

function init(arguments)
    math.randomseed(os.time())
    local head = io.open(os.getenv("LOAD_HEAD")):read("*a")
    local cookies = os.getenv("LOAD_COOKIES")
    if not cookies then
        heads[1] = head
        return
    end
    for _, cookie in ipairs(lines_of(cookies)) do
        -- A cookie has no percent sign.
        heads[#heads + 1] = (head:gsub("COOKIE", cookie))
    end
end

function request()
    at = at % #heads + 1
    return heads[at]
end

-- Between nothing and twice the pause, so that connections do not march in step.
if pause > 0 then
    function delay() return math.random(0, 2 * pause) end
end

function done(summary, latency, requests)
    local errors = summary.errors
    io.write(string.format(
        'RESULT {"requests": %d, "microseconds": %d, "p50": %d, "p99": %d, "bad": %d}\n',
        summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
        errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
