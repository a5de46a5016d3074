"""Fetches JSON from a server on the internet: at a limited rate, within a limited time, with retries."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import httpx2
from limits import RateLimitItem, parse_many
from limits.errors import StorageError
from limits.storage import MemoryStorage, Storage, storage_from_string
from limits.strategies import MovingWindowRateLimiter
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt
from tenacity.wait import wait_random_exponential

from f1.dataset import SourceError

log = logging.getLogger(__name__)

Sleep = Callable[[float], None]
LONGEST_PAUSE = 3600.0
LARGEST_ANSWER = 10_000_000


class Unavailable(SourceError):
    """A source does not answer now, or not to us: another run may succeed."""


# Statuses that say nothing about the request: the server wants to be asked later, or has closed for now.
_LATER = frozenset({401, 403, 408})


class _TryAgain(Exception):
    """A failure that another attempt may not have; `pause` is what the server asked for, in seconds."""

    def __init__(self, reason: str, pause: float | None = None) -> None:
        super().__init__(reason)
        self.pause = pause


class Pace:
    """Holds requests to a rate such as `4/second;500/hour`.

    The count is in Redis, so that a new process continues the old one's count. Without Redis it is in memory,
    and a warning says so once.
    """

    def __init__(self, name: str, rules: str, redis_url: str | None, sleep: Sleep = time.sleep) -> None:
        self._name = name
        self._rules: Sequence[RateLimitItem] = parse_many(rules)
        self._sleep = sleep
        self._limiter = MovingWindowRateLimiter(self._storage(redis_url))

    def _storage(self, redis_url: str | None) -> Storage:
        if redis_url is not None:
            try:
                storage = storage_from_string(redis_url, wrap_exceptions=True)
                assert isinstance(storage, Storage)
                if storage.check():
                    return storage
            except StorageError:
                pass
            log.warning("no Redis: requests are counted in memory and forgotten when this process ends")
        return MemoryStorage()

    def wait(self) -> float:
        """Wait until one more request is allowed, and count it. Returns the seconds waited."""
        waited = 0.0
        while True:
            full = [rule for rule in self._rules if not self._limiter.test(rule, self._name)]
            if not full:
                for rule in self._rules:
                    self._limiter.hit(rule, self._name)
                return waited
            reset = max(self._limiter.get_window_stats(rule, self._name).reset_time for rule in full)
            pause = min(max(reset - time.time(), 0.05), LONGEST_PAUSE)
            if pause > 5:
                log.info("the limit of requests is reached, waiting", extra={"seconds": round(pause)})
            self._sleep(pause)
            waited += pause


class JsonClient:
    """GET for JSON objects. Use as a context manager."""

    def __init__(
        self,
        *,
        timeout: float,
        attempts: int,
        pace: Pace | None = None,
        headers: Mapping[str, str] | None = None,
        sleep: Sleep = time.sleep,
        patience: float = LONGEST_PAUSE,
    ) -> None:
        self._http = httpx2.Client(
            timeout=timeout,
            headers={"Accept": "application/json", "User-Agent": "f1-backend", **(headers or {})},
            follow_redirects=True,
        )
        self._timeout, self._attempts, self._pace, self._sleep = timeout, attempts, pace, sleep
        self._patience = patience
        self._backoff = wait_random_exponential(multiplier=1, max=60)

    def __enter__(self) -> JsonClient:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def get(self, url: str, params: Mapping[str, str | int | float]) -> dict[str, Any]:
        """The JSON object at `url`.

        429 and 503 wait as Retry-After says; other 5xx, timeouts, broken connections and broken JSON wait
        exponentially with jitter. Raises Unavailable after the last attempt, and at once for a server that
        asks for a longer pause than `patience` seconds or does not let us in; SourceError at once for any
        other status.
        """
        try:
            for attempt in Retrying(
                retry=retry_if_exception_type(_TryAgain),
                stop=stop_after_attempt(self._attempts),
                wait=self._pause,
                sleep=self._sleep,
                before_sleep=self._say,
                reraise=True,
            ):
                with attempt:
                    return self._once(url, params)
        except _TryAgain as error:
            raise Unavailable(f"{url}: {error} ({self._attempts} attempts)") from error
        raise AssertionError("tenacity ends with a return or an exception")

    def _once(self, url: str, params: Mapping[str, str | int | float]) -> dict[str, Any]:
        if self._pace is not None:
            self._pace.wait()
        # The query may hold a key: neither messages nor logs repeat it.
        try:
            body = self._read(url, params)
        except httpx2.TimeoutException:
            raise _TryAgain(f"no answer in {self._timeout:g} s") from None
        except httpx2.TransportError as error:
            raise _TryAgain(f"the connection failed ({type(error).__name__})") from None
        try:
            answer = httpx2.Response(200, content=body).json()
        except ValueError:
            raise _TryAgain("the answer is not JSON") from None
        if not isinstance(answer, dict):
            raise _TryAgain("the answer is not a JSON object")
        return answer

    def _read(self, url: str, params: Mapping[str, str | int | float]) -> bytes:
        # httpx2's timeout is for each read: a server that trickles bytes needs a limit on the whole.
        ends = time.monotonic() + 4 * self._timeout
        with self._http.stream("GET", url, params=dict(params)) as response:
            if response.status_code == 429 or response.status_code >= 500:
                pause = _retry_after(response)
                if pause is not None and pause > self._patience:
                    raise Unavailable(
                        f"{url}: status {response.status_code}, to be asked again in {pause:g} s"
                    )
                raise _TryAgain(f"status {response.status_code}", pause)
            if response.status_code in _LATER:
                raise Unavailable(f"{url}: status {response.status_code}")
            if response.status_code != 200:
                raise SourceError(f"{url}: status {response.status_code}")
            parts: list[bytes] = []
            size = 0
            for part in response.iter_bytes():
                parts.append(part)
                size += len(part)
                if size > LARGEST_ANSWER:
                    raise SourceError(f"{url}: the answer is larger than {LARGEST_ANSWER} bytes")
                if time.monotonic() > ends:
                    raise _TryAgain(f"the answer was not complete in {4 * self._timeout:g} s")
            return b"".join(parts)

    def _pause(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        backoff = float(self._backoff(state))
        asked = error.pause if isinstance(error, _TryAgain) else None
        return backoff if asked is None else max(asked, 0.0)

    def _say(self, state: RetryCallState) -> None:
        reason = state.outcome.exception() if state.outcome else None
        pause = state.next_action.sleep if state.next_action else 0.0
        log.warning("trying again", extra={"reason": str(reason), "seconds": round(pause, 1)})


def _retry_after(response: httpx2.Response) -> float | None:
    text = response.headers.get("Retry-After", "")
    return min(float(text), LONGEST_PAUSE) if text.isascii() and text.isdigit() else None
