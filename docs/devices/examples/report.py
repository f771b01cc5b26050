#!/usr/bin/env python3
"""Keeps the reports of a device in a folder until PiSync has taken them. Python 3.9, nothing else.

report.py add FILES ERRORS MBPS   keeps a report of a sync attempt
report.py send                    sends what is kept: 0 if all was sent, 75 if some is left
"""
import contextlib, email.utils, http.client, json, os, pathlib, random, sys, time
import urllib.error, urllib.request, uuid

URL, DEVICE = os.environ["PISYNC_URL"], os.environ["PISYNC_DEVICE"]
KEY = os.environ.get("PISYNC_KEY", "any")
SPOOL = pathlib.Path(os.environ.get("PISYNC_SPOOL", pathlib.Path.home() / ".pisync"))
TRIES, MAX_WAIT = int(os.environ.get("PISYNC_TRIES", 8)), float(os.environ.get("PISYNC_MAX_WAIT", 3600))
FINAL, FINAL_CODES = (400, 413, 415, 431), ("malformed", "missing", "invalid", "forbidden")


class NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirect is the doing of a captive portal: it is no answer of PiSync."""

    def redirect_request(self, *_):
        return None


OPENER = urllib.request.build_opener(NoRedirects)


def add(files, errors, speed):
    now = int(time.time() * 1000)
    report = {"reportId": uuid.uuid4().hex, "deviceId": DEVICE, "timestamp": now, "totalFilesSynced": int(files),
              "totalErrors": int(errors), "internetSpeed": float(speed)}
    new = SPOOL / (report["reportId"] + ".new")
    new.write_text(json.dumps(report))
    new.rename(SPOOL / f"{now}-{report['reportId']}.json")


def post(reports):
    """Returns the status, the type, the JSON and the Retry-After of the answer; status 0 without one."""
    body = json.dumps({"sentAt": int(time.time() * 1000), "events": reports}).encode()
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {KEY}"}
    request = urllib.request.Request(f"{URL}/api/v1/sync-events", body, headers)
    try:
        try:
            answer = OPENER.open(request, timeout=60)
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            status, kind, text = answer.status, answer.headers.get_content_type(), answer.read()
            after = answer.headers.get("Retry-After")
    except (OSError, http.client.HTTPException):
        return 0, "", None, None
    try:
        return status, kind, json.loads(text), after
    except (ValueError, RecursionError):
        return status, kind, None, after


def bury(path, why):
    """A report that never will be taken: for people to look at."""
    print(f"never taken: {path.name}: {why}", file=sys.stderr)
    with contextlib.suppress(FileNotFoundError):
        path.replace(SPOOL / "dead" / path.name)


def read(path):
    try:
        return json.loads(path.read_text())
    except OSError:
        return None  # It was sent by another process, or the disk has trouble.
    except (ValueError, RecursionError):
        bury(path, "the file is damaged")


def is_own(status, kind, answer, count):
    """Whether this is PiSync's answer to so many reports: each is accepted, or named."""
    rejected = answer.get("rejected") if isinstance(answer, dict) else None
    if status != 202 or kind != "application/json" or not isinstance(rejected, list):
        return False
    places = [item.get("index") for item in rejected if isinstance(item, dict)]
    are_ours = all(type(place) is int and 0 <= place < count for place in places)
    return are_ours and answer.get("accepted") == count - len(rejected) == count - len(set(places))


def send_batch(paths):
    """Sends these once. Returns what to do with those that are left, and Retry-After: "wait" and send them again,
    "halve" (fewer at a time, at once), or both."""
    kept = [(path, report) for path, report in ((path, read(path)) for path in paths) if report is not None]
    if not kept:
        return "wait", None
    status, kind, answer, after = post([report for _, report in kept])
    if is_own(status, kind, answer, len(kept)):
        rejected = {item["index"]: item for item in answer["rejected"]}
        for index, (path, _) in enumerate(kept):
            if index not in rejected:
                path.unlink(missing_ok=True)
            elif rejected[index].get("code") in FINAL_CODES:
                bury(path, rejected[index].get("detail"))
        return "wait", after
    if status in FINAL and kind == "application/problem+json":
        if len(kept) > 1:
            return "halve", None
        bury(kept[0][0], answer)
        return "wait", None
    return "wait and halve", after


def pause(after, tries):
    """How many seconds to wait: what Retry-After says, as seconds or as a date, or ever longer."""
    wait = 5 * 2 ** min(tries, 10)
    if after and after.strip().isdecimal() and len(after) < 10:
        wait = int(after)
    elif after:
        try:
            wait = email.utils.parsedate_to_datetime(after).timestamp() - time.time()
        except (TypeError, ValueError, IndexError, OverflowError):
            pass
    # Not all devices at the same second.
    return min(max(wait, 1), MAX_WAIT) * random.uniform(1, 1.25)


def age(path):
    try:
        return path.stat().st_mtime_ns, path.name
    except OSError:
        return 0, path.name


def send():
    size, tries = 1000, 0
    while kept := sorted(SPOOL.glob("*.json"), key=age):
        sent = kept[:size]
        what, after = send_batch(sent)
        left = [path for path in sent if path.exists()]
        # They go behind all others, so that they hold up none; and one that is the cause is found by halves.
        for path in left:
            with contextlib.suppress(OSError):
                os.utime(path)
        size = max(1, len(sent) // 2) if "halve" in what else min(1000, 2 * size)
        tries = 0 if len(left) < len(sent) else tries
        if left and "wait" in what:
            tries += 1
            if tries >= TRIES:
                return 75
            time.sleep(pause(after, tries))
    return 0


(SPOOL / "dead").mkdir(parents=True, exist_ok=True)
if sys.argv[1:2] == ["add"] and len(sys.argv) == 5:
    add(*sys.argv[2:])
elif sys.argv[1:] == ["send"]:
    sys.exit(send())
else:
    sys.exit(__doc__)
