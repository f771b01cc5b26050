"""What docs/devices once showed: it forgets a report on all that is no 429, 502, 503 or 504. A control
for the test of the documented clients, which has to fail with it."""
import json, os, pathlib, random, sys, time, urllib.error, urllib.request, uuid

URL, KEY = os.environ["PISYNC_URL"], os.environ["PISYNC_KEY"]
SPOOL = pathlib.Path(os.environ["PISYNC_SPOOL"])
AGAIN = {429, 502, 503, 504}


def report(event, tries=8):
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {KEY}"}
    for attempt in range(tries):
        wait = min(3600, 5 * 2**attempt) * random.uniform(0.5, 1)
        request = urllib.request.Request(f"{URL}/api/sync-event", json.dumps(event).encode(), headers)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status == 202
        except urllib.error.HTTPError as error:
            if error.code not in AGAIN:
                return False
            wait = float(error.headers.get("Retry-After", wait))
        except OSError:
            pass
        time.sleep(min(wait, float(os.environ["PISYNC_MAX_WAIT"])))
    raise TimeoutError("keep the report and try again later")


SPOOL.mkdir(parents=True, exist_ok=True)
if sys.argv[1] == "add":
    files, errors, speed = sys.argv[2:]
    event = {"reportId": uuid.uuid4().hex, "deviceId": os.environ["PISYNC_DEVICE"], "timestamp": int(time.time() * 1000),
             "totalFilesSynced": int(files), "totalErrors": int(errors), "internetSpeed": float(speed)}
    (SPOOL / f"{event['reportId']}.json").write_text(json.dumps(event))
else:
    for path in sorted(SPOOL.glob("*.json")):
        report(json.loads(path.read_text()))
        path.unlink()
