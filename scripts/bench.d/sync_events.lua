-- wrk posts what a fleet would: each device in turn, each report at another time, one in ten failed.
-- After `--`: PREFIX DEVICES START (seconds since 1970) THREADS RATE (per second, 0: no limit)
-- RESPITE (ms that a connection rests after a 503, 0: answers are not looked at)
-- BATCH (reports in a request, 0: one, not as a batch) KEY (to send along, -: none).
local ffi = require("ffi")
ffi.cdef [[
  typedef struct { long seconds; long nanos; } moment;
  int clock_gettime(int clock, moment *now);
]]
local MONOTONIC = 1
local ROUND_SECONDS = 60
-- How many different ends a report can have; no divisor of a fleet's size, so that devices change theirs.
local ENDS = 4093

local threads_made = 0
local moment = ffi.new("moment")
local start, batch
local sent = 0
local head
local stamp = nil
local beginnings, ends = {}, {}

function setup(thread)
  thread:set("number", threads_made)
  threads_made = threads_made + 1
end

local function now_ms()
  ffi.C.clock_gettime(MONOTONIC, moment)
  return tonumber(moment.seconds) * 1000 + tonumber(moment.nanos) / 1e6
end

-- Requests have their times, whenever the ones before were answered: late ones catch up.
local function keep_to_rate(rate, threads)
  local step, due = threads * 1000 / rate, nil
  function delay()
    local now = now_ms()
    due = due and due + step or now
    return math.max(0, math.floor(due - now))
  end
end

-- The fleet comes back later when it is told so.
local function rest_after_503(respite)
  local is_refused = false
  function response(status)
    is_refused = status == 503
  end
  function delay()
    return is_refused and respite or 0
  end
end

-- What reports are put together from, made beforehand: the client shares the processor with what is
-- measured.
local function prepare(prefix, of_mine, threads)
  for place = 0, of_mine - 1 do
    beginnings[place + 1] = string.format('{"deviceId":"%s-%06d","timestamp":"', prefix, place * threads + number)
  end
  for place = 1, ENDS do
    local failed = math.random() < 0.1
    ends[place] = string.format(
      '","totalFilesSynced":%d,"totalErrors":%d,"internetSpeed":%.14f}',
      math.random(0, 60), failed and math.random(1, 9) or 0, math.random() * 100)
  end
end

function init(args)
  local prefix, devices, threads = args[1], tonumber(args[2]), tonumber(args[4])
  start = tonumber(args[3])
  local rate, respite = tonumber(args[5]), tonumber(args[6])
  batch = tonumber(args[7])
  if args[8] ~= "-" then wrk.headers["Authorization"] = "Bearer " .. args[8] end
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "application/json"
  head = wrk.format(nil, nil, nil, ""):gsub("Content%-Length: %d+\r\n", ""):gsub("\r\n$", "") .. "Content-Length: "
  math.randomseed(start + number)
  prepare(prefix, math.floor(devices / threads), threads)
  if rate > 0 then keep_to_rate(rate, threads) end
  if respite > 0 then rest_after_503(respite) end
end

local function report()
  local place = sent % #beginnings
  if place == 0 then
    stamp = os.date("!%Y-%m-%dT%H:%M:%S.000Z", start + math.floor(sent / #beginnings) * ROUND_SECONDS)
  end
  sent = sent + 1
  return beginnings[place + 1] .. stamp .. ends[sent % ENDS + 1]
end

function request()
  if batch == 0 then
    -- By hand: wrk.format looks at every header again for each request.
    local body = report()
    return head .. #body .. "\r\n\r\n" .. body
  end
  local reports = {}
  for place = 1, batch do reports[place] = report() end
  return wrk.format(nil, nil, nil, "[" .. table.concat(reports, ",") .. "]")
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '\n{"requests":%d,"seconds":%.6f,"p50":%.3f,"p99":%.3f,"refused":%d,"broken":%d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
