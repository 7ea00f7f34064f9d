-- Feeds at random, nine of ten asked with the ETag that they had at the start. FEEDS: lines of "path etag".
local feeds = {}

function init(_)
  math.randomseed(1)
  for line in io.lines(os.getenv("FEEDS")) do
    local path, etag = line:match("^(%S+) (.+)$")
    feeds[#feeds + 1] = { path = path, etag = etag }
  end
end

function request()
  local feed = feeds[math.random(#feeds)]
  local headers = { ["Accept-Encoding"] = "gzip" }
  if math.random(10) > 1 then
    headers["If-None-Match"] = feed.etag
  end
  return wrk.format("GET", feed.path, headers)
end

function done(summary, latency, _)
  local errors = summary.errors
  local wrong = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  print(string.format("RESULT %d %d %d %d %d %d", summary.requests, wrong, summary.duration,
    latency:percentile(50), latency:percentile(99), latency.max))
end
