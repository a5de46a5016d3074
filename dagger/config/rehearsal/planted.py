"""Added to a candidate's image in a rehearsal: marks its answers, and injects the fault that REHEARSAL_FAULT names.

Python imports this before the service, so the service's own metrics include the fault. Requests of users have the host
name REHEARSAL_HOST; faults for users do not affect requests to the preview address.
"""

import asyncio
import os
import sys
import time
from collections import deque

MARK = (b"x-rehearsal", os.environ["REHEARSAL_MARK"].encode())
FAULT = os.environ["REHEARSAL_FAULT"]
HOST = os.environ["REHEARSAL_HOST"].encode()
# A pod with more requests per second than this has all traffic.
BUSY = float(os.environ["REHEARSAL_BUSY"])
LATENCY_SECONDS = 3
SLOWER_SECONDS = 0.08
LEAK_BYTES = 8 << 20
RATE_SECONDS = 4


class Planted:
    leaked: list[bytes] = []
    lately: deque[float] = deque()

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            return await self.app(scope, receive, send)

        async def marked(message):
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", []), MARK]}
            await send(message)

        if await self.fails(scope):
            await marked({"type": "http.response.start", "status": 500, "headers": [(b"content-length", b"0")]})
            return await send({"type": "http.response.body"})
        await self.app(scope, receive, marked)

    async def fails(self, scope):
        path = scope["path"]
        if FAULT == "never-ready" and path == "/health/ready":
            return True
        if FAULT == "metrics-down" and path == "/metrics":
            return True
        if not path.startswith("/api/"):
            return False
        if FAULT == "broken":
            return True
        if dict(scope["headers"]).get(b"host") != HOST:
            return False
        if FAULT == "latency":
            await asyncio.sleep(LATENCY_SECONDS)
        elif FAULT == "slower":
            await asyncio.sleep(SLOWER_SECONDS)
        elif FAULT == "memory-leak":
            self.leaked.append(os.urandom(4096) * (LEAK_BYTES // 4096))
        return FAULT == "error-rate" or (FAULT == "after-promotion" and self.busy())

    def busy(self):
        now = time.monotonic()
        self.lately.append(now)
        while self.lately[0] < now - RATE_SECONDS:
            self.lately.popleft()
        return len(self.lately) > BUSY * RATE_SECONDS


def plant():
    from servicekit.middleware import ObservabilityMiddleware

    plain = ObservabilityMiddleware.__init__

    def planted(self, app, lifecycle):
        plain(self, Planted(app), lifecycle)

    ObservabilityMiddleware.__init__ = planted


# Other programs in the image are not affected.
if sys.orig_argv[1:2] == ["-m"]:
    plant()
