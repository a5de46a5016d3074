"""What happens around every request: its id, its log line, its metrics, its size limit."""

import logging
import re
import time
from dataclasses import dataclass

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from servicekit.logs import choose_request_id, request_id_var
from servicekit.metrics import HTTP_DURATION, HTTP_IN_FLIGHT, HTTP_REQUESTS
from servicekit.problems import Problem, problem_response

access_log = logging.getLogger("access")

_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
_CLIENT_GONE = 499
# An answer that a browser opens as a page can do nothing; one that says otherwise itself, such as the
# documentation, keeps its own.
_SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_HSTS = "max-age=31536000; includeSubDomains"
QUIET_ROUTES = {"/health/live", "/health/ready", "/metrics"}


@dataclass
class Lifecycle:
    """Whether the process still wants new requests. The server sets it, readiness and answers show it."""

    draining: bool = False


def route_label(scope: Scope) -> str:
    """The template of the route that served the request; one name for all addresses that do not exist."""
    path = getattr(scope.get("route"), "path", None)
    return path if isinstance(path, str) else "unmatched"


class ObservabilityMiddleware:
    """Gives each request an id, a log line, metrics and security headers; asks clients to reconnect while
    draining."""

    def __init__(self, app: ASGIApp, lifecycle: Lifecycle) -> None:
        self.app = app
        self.lifecycle = lifecycle

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        request_id = choose_request_id(Headers(scope=scope).get("x-request-id"))
        token = request_id_var.set(request_id)
        started = time.perf_counter()
        status = _CLIENT_GONE

        async def decorated_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-ID"] = request_id
                for name, value in _SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
                if scope["scheme"] == "https":
                    headers["Strict-Transport-Security"] = _HSTS
                if self.lifecycle.draining:
                    headers["Connection"] = "close"
            await send(message)

        HTTP_IN_FLIGHT.inc()
        try:
            await self.app(scope, receive, decorated_send)
        finally:
            HTTP_IN_FLIGHT.dec()
            seconds = time.perf_counter() - started
            self._record(scope, status, seconds)
            request_id_var.reset(token)

    @staticmethod
    def _record(scope: Scope, status: int, seconds: float) -> None:
        method = scope["method"] if scope["method"] in _METHODS else "other"
        route = route_label(scope)
        HTTP_REQUESTS.labels(method, route, status).inc()
        HTTP_DURATION.labels(method, route).observe(seconds)
        level = logging.DEBUG if route in QUIET_ROUTES and status < 500 else logging.INFO
        fields = {"method": method, "route": route, "status": status, "duration_ms": round(seconds * 1000, 1)}
        access_log.log(level, "%s %s %s", method, route, status, extra=fields)


class KeptAnswersMiddleware:
    """Lets browsers and caches keep what was found at some addresses for a while. Errors are not kept."""

    def __init__(self, app: ASGIApp, paths: str, seconds: int) -> None:
        """`paths` is a regular expression of whole paths."""
        self.app = app
        self.paths = re.compile(paths)
        self.cache_control = f"public, max-age={seconds}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kept = scope["type"] == "http" and scope["method"] in ("GET", "HEAD")
        if not kept or not self.paths.fullmatch(scope["path"]):
            return await self.app(scope, receive, send)

        async def kept_send(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] == 200:
                MutableHeaders(scope=message)["Cache-Control"] = self.cache_control
            await send(message)

        await self.app(scope, receive, kept_send)


class BodyLimitMiddleware:
    """Refuses request bodies above a number of bytes, announced or not, with 413."""

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self.app = app
        self.max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        detail = f"The body may have at most {self.max_bytes} bytes."
        announced = Headers(scope=scope).get("content-length", "0")
        if announced.isdecimal() and int(announced) > self.max_bytes:
            await problem_response(scope, 413, None, detail, {"Connection": "close"})(scope, receive, send)
            return
        received = 0

        async def counted_receive() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self.max_bytes:
                raise Problem(413, None, detail, headers={"Connection": "close"})
            return message

        await self.app(scope, counted_receive, send)
