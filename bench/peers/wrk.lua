-- One request after another from a list made beforehand: the same body, an origin each.
--   wrk ... -s wrk.lua URL -- PATH BODY_FILE HEADERS_FILE ORIGINS_FILE
-- Prints one line of JSON at the end. Nothing is read of an answer but its status.

local requests, at, size = {}, 0, 0

local function lines(name)
  local found = {}
  for line in io.lines(name) do found[#found + 1] = line end
  return found
end

function init(args)
  local path = args[1]
  local file = io.open(args[2], "rb")
  local body = file:read("*a")
  file:close()
  for _, line in ipairs(lines(args[3])) do
    local name, value = line:match("^([^:]+): (.*)$")
    wrk.headers[name] = value
  end
  for _, origin in ipairs(lines(args[4])) do
    wrk.headers["x-nearway-origin"] = origin
    requests[#requests + 1] = wrk.format("POST", path, nil, body)
  end
  size = #requests
end

function request()
  at = at % size + 1
  return requests[at]
end

function done(summary, latency, _)
  local errors = summary.errors
  io.write(string.format(
    '{"requests":%d,"seconds":%.6f,"mean_us":%.1f,"p50_us":%.1f,"p99_us":%.1f,'
      .. '"refused":%d,"broken":%d}\n',
    summary.requests, summary.duration / 1e6, latency.mean,
    latency:percentile(50), latency:percentile(99),
    errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
