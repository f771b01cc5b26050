"""Whom the alerter tells: a webhook that notes when each device was told of."""

import http.server
import json
import threading
import time


class FarEnd:
    """A webhook on this machine, from here to the end of the block; has its `url`."""

    def __init__(self):
        self.told = {}
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler(self.told))
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/"

    def watch(self, names, seen):
        """Notes when each of these devices was first told of."""
        while len(seen) < len(names):
            seen |= {name: self.told[name] for name in names if name in self.told}
            time.sleep(0.02)

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def handler(told):
    """Takes every message, and notes in `told` when a device came first."""

    class Handler(http.server.BaseHTTPRequestHandler):
        """One connection."""

        protocol_version = "HTTP/1.1"

        def do_POST(self):
            """Told is what has come as a whole."""
            body = self.rfile.read(int(self.headers["Content-Length"]))
            now = time.monotonic()
            for alert in json.loads(body)["alerts"]:
                told.setdefault(alert["labels"].get("deviceId"), now)
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            """Nothing."""

    return Handler
