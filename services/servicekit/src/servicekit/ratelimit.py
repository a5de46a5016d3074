"""Limits on how often a client may do something, shared by all processes through Redis."""

import ipaddress
import math
import time
from collections.abc import Callable
from typing import Any

from fastapi import Request
from limits import RateLimitItem, parse_many
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import MovingWindowRateLimiter, RateLimiter

from servicekit.metrics import RATE_LIMITED
from servicekit.problems import Problem
from servicekit.redisguard import RedisGuard, RedisUnavailable
from servicekit.settings import ServiceSettings


class Limiter:
    """Counts in Redis; while Redis is away each process counts for itself."""

    def __init__(self, settings: ServiceSettings) -> None:
        self._redis = RedisGuard(settings)
        pool = self._redis.client.connection_pool
        self._shared = MovingWindowRateLimiter(RedisStorage("redis://", connection_pool=pool))
        self._local = MovingWindowRateLimiter(MemoryStorage())

    def seconds_to_wait(self, rule: RateLimitItem, *identifiers: str) -> int:
        """Counts one use. 0 when the rule allows it, else the seconds until it would again."""
        try:
            return self._redis.run(lambda: _hit(self._shared, rule, identifiers))
        except RedisUnavailable:
            return _hit(self._local, rule, identifiers)

    def close(self) -> None:
        """Closes the connections to Redis."""
        self._redis.close()


class RateLimit:
    """FastAPI dependency: `Depends(RateLimit("login", "10/minute"))`, per client address.

    The rule may also be a function that takes it from the application's settings. Too many: 429 with
    Retry-After in seconds.
    """

    def __init__(self, name: str, rule: str | Callable[[Any], str]) -> None:
        self.name = name
        self.rule = rule

    def __call__(self, request: Request) -> None:
        state = request.app.state
        rule = self.rule if isinstance(self.rule, str) else self.rule(state.settings)
        client = client_address(request)
        wait = max(state.limiter.seconds_to_wait(item, self.name, client) for item in parse_many(rule))
        if wait:
            RATE_LIMITED.labels(self.name).inc()
            detail = f"At most {rule} from one address. Try again in {wait} s."
            raise Problem(429, None, detail, headers={"Retry-After": str(wait)})


def client_address(request: Request) -> str:
    """The client that a limit counts for: its IPv4 address or IPv6 /64 network. X-Forwarded-For has been
    applied already when it came from one of TRUSTED_PROXIES."""
    host = request.client.host if request.client else "unknown"
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if address.version == 6:
        return str(ipaddress.ip_network((address, 64), strict=False))
    return host


def _hit(limiter: RateLimiter, rule: RateLimitItem, identifiers: tuple[str, ...]) -> int:
    if limiter.hit(rule, *identifiers):
        return 0
    reset = limiter.get_window_stats(rule, *identifiers).reset_time
    return max(1, math.ceil(reset - time.time()))
