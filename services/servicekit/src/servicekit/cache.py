"""A cache of JSON values in Redis that never serves what was invalidated, and is optional."""

import json
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from servicekit.metrics import CACHE_REQUESTS
from servicekit.redisguard import RedisGuard, RedisUnavailable
from servicekit.settings import ServiceSettings

DEFAULT_TAG = "all"


@dataclass(frozen=True)
class _Lookup:
    """What a read found: the tag's token (None: do not use Redis), and the value on a hit."""

    token: str | None
    hit: bool = False
    value: Any = None


class Cache:
    """JSON values under a prefix, grouped by tags.

    Each tag has a random token in Redis. A value is stored with the token that was current before it was
    loaded, and counts only while the tag still has that token. `invalidate` replaces the token, so nothing
    that was loaded before it is served after it returns, whichever process stored it and whenever.

    Without Redis every read goes to the loader. A process whose `invalidate` could not reach Redis repeats it
    before its next read of the tag, and uses no cached value until it succeeds. Other processes that can
    still reach Redis may serve the old value until its `ttl` ends.
    """

    def __init__(self, settings: ServiceSettings, prefix: str) -> None:
        self._redis = RedisGuard(settings)
        self._prefix = prefix
        self._default_ttl = settings.cache_ttl_seconds
        self._owed: set[str] = set()
        self._owed_lock = threading.Lock()

    def get_or_set(
        self, key: str, ttl: int | None, loader: Callable[[], Any], *, tag: str = DEFAULT_TAG
    ) -> Any:
        """The cached value, else the loader's, stored for `ttl` seconds (None: CACHE_TTL_SECONDS)."""
        found = self._look_up(key, tag)
        if found.hit:
            return found.value
        value = loader()
        if found.token is not None:
            self._store(key, value, ttl, tag, found.token)
        return value

    def get(self, key: str, *, tag: str = DEFAULT_TAG) -> Any:
        """The cached value, or None."""
        return self._look_up(key, tag).value

    def set(self, key: str, value: Any, ttl: int | None = None, *, tag: str = DEFAULT_TAG) -> None:
        """Stores a value. For what a concurrent `invalidate` may outdate, use `get_or_set`."""
        token = self._look_up(key, tag).token
        if token is not None:
            self._store(key, value, ttl, tag, token)

    def invalidate(self, tag: str = DEFAULT_TAG) -> None:
        """Makes all values of the tag count no more. Call it after the change is committed and before the
        caller hears of it. Does not raise when Redis fails; see the class."""
        with self._owed_lock:
            self._owed.add(tag)
        self._settle(tag)

    def check(self) -> None:
        """Raises when Redis does not answer."""
        self._redis.check()

    def close(self) -> None:
        """Closes the connections to Redis."""
        self._redis.close()

    def _look_up(self, key: str, tag: str) -> _Lookup:
        found = self._read(key, tag)
        result = "hit" if found.hit else "unavailable" if found.token is None else "miss"
        CACHE_REQUESTS.labels(self._prefix, result).inc()
        return found

    def _read(self, key: str, tag: str) -> _Lookup:
        if tag in self._owed and not self._settle(tag):
            return _Lookup(None)
        names = [self._token_name(tag), self._value_name(key)]
        try:
            raw_token, raw_entry = self._redis.run(lambda: self._redis.client.mget(names))
            if raw_token is None:
                return _Lookup(self._first_token(tag))
        except RedisUnavailable:
            return _Lookup(None)
        token = str(raw_token)
        entry = json.loads(raw_entry) if raw_entry is not None else None
        if entry is None or entry["token"] != token:
            return _Lookup(token)
        return _Lookup(token, True, entry["value"])

    def _first_token(self, tag: str) -> str:
        name, client = self._token_name(tag), self._redis.client
        self._redis.run(lambda: client.set(name, secrets.token_hex(16), nx=True))
        raw = self._redis.run(lambda: client.get(name))
        if raw is None:
            raise RedisUnavailable("the token is gone already")
        return str(raw)

    def _store(self, key: str, value: Any, ttl: int | None, tag: str, token: str) -> None:
        entry = json.dumps({"token": token, "value": value}, separators=(",", ":"))
        try:
            self._redis.run(
                lambda: self._redis.client.set(self._value_name(key), entry, ex=ttl or self._default_ttl)
            )
        except RedisUnavailable:
            return  # Counted and logged by the guard; the caller has its value.

    def _settle(self, tag: str) -> bool:
        """Replaces the tag's token, so that no invalidation is owed; False when Redis fails."""
        try:
            self._redis.run(lambda: self._redis.client.set(self._token_name(tag), secrets.token_hex(16)))
        except RedisUnavailable:
            return False
        with self._owed_lock:
            self._owed.discard(tag)
        return True

    def _token_name(self, tag: str) -> str:
        return f"{self._prefix}:token:{tag}"

    def _value_name(self, key: str) -> str:
        return f"{self._prefix}:value:{key}"
