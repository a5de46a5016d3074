"""Redis as something a service can do without: short timeouts, and a pause after a failure."""

import logging
import threading
import time
from collections.abc import Callable
from typing import TypeVar

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from servicekit.metrics import REDIS_ERRORS
from servicekit.settings import ServiceSettings

log = logging.getLogger(__name__)

T = TypeVar("T")

_LOG_EVERY_SECONDS = 60.0


class RedisUnavailable(Exception):
    """Redis did not answer, or failed a moment ago and is being left alone."""


class RedisGuard:
    """Runs operations on Redis. After one fails, all others fail at once for `redis_cooldown_seconds`; then a
    single one may try again. So a dead Redis costs one timeout in each pause, and not one in each request."""

    def __init__(self, settings: ServiceSettings) -> None:
        self.client = redis.Redis.from_url(
            settings.redis_url.get_secret_value(),
            socket_timeout=settings.redis_timeout_seconds,
            socket_connect_timeout=settings.redis_timeout_seconds,
            # One retry: a pooled connection may have died with a Redis that is back already.
            retry=Retry(NoBackoff(), 1),
            health_check_interval=30,
            decode_responses=True,
        )
        self._cooldown = settings.redis_cooldown_seconds
        self._lock = threading.Lock()
        self._open_until = 0.0
        self._logged_at = float("-inf")

    def run(self, operation: Callable[[], T]) -> T:
        """The operation's result. Raises RedisUnavailable when Redis fails or is being left alone."""
        self._pass_or_raise()
        try:
            result = operation()
        except redis.RedisError as error:
            self._trip(error)
            raise RedisUnavailable from error
        self._open_until = 0.0
        return result

    def check(self) -> None:
        """Raises when Redis does not answer. Ends the pause when it does."""
        self.client.ping()
        self._open_until = 0.0

    def close(self) -> None:
        """Closes all connections."""
        self.client.close()

    def _pass_or_raise(self) -> None:
        with self._lock:
            now = time.monotonic()
            if now < self._open_until:
                raise RedisUnavailable("failed a moment ago")
            if self._open_until:
                # This caller tries; the others wait for how it goes.
                self._open_until = now + self._cooldown

    def _trip(self, error: redis.RedisError) -> None:
        REDIS_ERRORS.inc()
        with self._lock:
            now = time.monotonic()
            self._open_until = now + self._cooldown
            worth_a_line = now - self._logged_at >= _LOG_EVERY_SECONDS
            if worth_a_line:
                self._logged_at = now
        if worth_a_line:
            log.warning("Redis failed, going on without it: %s", error)
