import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from prometheus_client import REGISTRY
from sqlalchemy import make_url

from servicekit.cache import Cache
from servicekit.redisguard import RedisGuard, RedisUnavailable
from servicekit.testing import TcpProxy, wait_until
from tests.conftest import MakeSettings


class Source:
    """Something to cache that counts how often it is asked."""

    def __init__(self, value: Any = "first") -> None:
        self.value = value
        self.loads = 0

    def load(self) -> Any:
        self.loads += 1
        return self.value


def _errors() -> float:
    return REGISTRY.get_sample_value("redis_errors_total") or 0.0


def test_without_redis_every_read_loads(make_settings: MakeSettings) -> None:
    cache = Cache(make_settings(), "sample")
    source = Source()
    assert [cache.get_or_set("key", None, source.load) for _ in range(3)] == ["first"] * 3
    assert source.loads == 3
    cache.set("key", "x")
    assert cache.get("key") is None
    cache.invalidate()
    cache.close()
    with pytest.raises(redis.RedisError):
        cache.check()


def test_a_dead_redis_is_left_alone(
    make_settings: MakeSettings, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    guard = RedisGuard(make_settings(redis_cooldown_seconds=10))
    clock = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    tries = 0

    def operation() -> None:
        nonlocal tries
        tries += 1
        raise redis.ConnectionError("refused")

    def attempt() -> None:
        with pytest.raises(RedisUnavailable):
            guard.run(operation)

    before = _errors()
    for _ in range(5):
        attempt()
    assert (tries, _errors() - before) == (1, 1)
    clock[0] += 11
    for _ in range(5):
        attempt()
    assert (tries, _errors() - before) == (2, 2)
    assert len(caplog.records) == 1
    clock[0] += 60
    attempt()
    assert len(caplog.records) == 2


def test_after_the_pause_only_one_caller_tries(
    make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    guard = RedisGuard(make_settings(redis_cooldown_seconds=10))
    with pytest.raises(RedisUnavailable):
        guard.run(guard.client.ping)
    later = time.monotonic() + 11
    monkeypatch.setattr(time, "monotonic", lambda: later)

    def nested() -> str:
        with pytest.raises(RedisUnavailable):
            guard.run(lambda: "second caller")
        return "first caller"

    assert guard.run(nested) == "first caller"
    assert guard.run(lambda: "working again") == "working again"


@pytest.fixture
def prefix(redis_url: str) -> Iterator[str]:
    name = f"test-{time.time_ns()}"
    yield name
    client = redis.Redis.from_url(redis_url)
    for key in client.scan_iter(f"{name}:*"):
        client.delete(key)
    client.close()


@pytest.fixture
def proxy(redis_url: str) -> Iterator[TcpProxy]:
    url = make_url(redis_url)
    way = TcpProxy(url.host or "", url.port or 6379)
    yield way
    way.cut()


@pytest.mark.integration
class TestWithRedis:
    def test_loads_once(self, make_settings: MakeSettings, redis_url: str, prefix: str) -> None:
        first, second = (Cache(make_settings(redis_url=redis_url), prefix) for _ in range(2))
        source = Source({"ü": [1, None, 2.5]})
        for cache in (first, second, first):
            assert cache.get_or_set("key", None, source.load) == source.value
        assert source.loads == 1
        first.check()
        for cache in (first, second):
            cache.close()

    def test_caches_none(self, make_settings: MakeSettings, redis_url: str, prefix: str) -> None:
        cache, source = Cache(make_settings(redis_url=redis_url), prefix), Source(None)
        assert [cache.get_or_set("key", None, source.load) for _ in range(2)] == [None, None]
        assert source.loads == 1
        cache.close()

    def test_values_expire(self, make_settings: MakeSettings, redis_url: str, prefix: str) -> None:
        cache, client = Cache(make_settings(redis_url=redis_url), prefix), redis.Redis.from_url(redis_url)
        cache.set("short", 1, 7)
        cache.get_or_set("usual", None, lambda: 2)
        assert 0 < client.ttl(f"{prefix}:value:short") <= 7
        assert 290 < client.ttl(f"{prefix}:value:usual") <= 300
        cache.close()
        client.close()

    def test_invalidation_counts_for_everyone_and_for_its_tag_only(
        self, make_settings: MakeSettings, redis_url: str, prefix: str
    ) -> None:
        first, second = (Cache(make_settings(redis_url=redis_url), prefix) for _ in range(2))
        source = Source()
        first.get_or_set("key", None, source.load, tag="a")
        first.set("other", "stays", tag="b")
        source.value = "second"
        second.invalidate("a")
        assert first.get_or_set("key", None, source.load, tag="a") == "second"
        assert second.get("other", tag="b") == "stays"
        for cache in (first, second):
            cache.close()

    def test_a_load_that_an_invalidation_overtakes_is_not_served(
        self, make_settings: MakeSettings, redis_url: str, prefix: str
    ) -> None:
        cache = Cache(make_settings(redis_url=redis_url), prefix)

        def load_while_somebody_writes() -> str:
            cache.invalidate()
            return "outdated"

        assert cache.get_or_set("key", None, load_while_somebody_writes) == "outdated"
        assert cache.get_or_set("key", None, lambda: "current") == "current"
        cache.close()

    def test_never_older_than_the_last_invalidation(
        self, make_settings: MakeSettings, redis_url: str, prefix: str
    ) -> None:
        cache = Cache(make_settings(redis_url=redis_url), prefix)
        source, stop = Source(0), threading.Event()
        invalidated = 0
        stale: list[tuple[int, int]] = []

        def read() -> None:
            while not stop.is_set():
                at_least = invalidated
                got = cache.get_or_set("key", None, source.load)
                if got < at_least:
                    stale.append((got, at_least))

        readers = [threading.Thread(target=read) for _ in range(4)]
        for reader in readers:
            reader.start()
        for number in range(1, 200):
            source.value = number
            cache.invalidate()
            invalidated = number
        stop.set()
        for reader in readers:
            reader.join()
        assert not stale
        cache.close()

    def test_redis_killed_half_way(
        self, make_settings: MakeSettings, proxy: TcpProxy, prefix: str, redis_url: str
    ) -> None:
        settings = make_settings(redis_url=f"redis://127.0.0.1:{proxy.port}/0", redis_cooldown_seconds=0.2)
        cache, source = Cache(settings, prefix), Source()
        cache.get_or_set("key", None, source.load)
        proxy.cut()
        assert cache.get_or_set("key", None, source.load) == "first"
        # This change cannot be told to Redis, where the old value is still.
        source.value = "second"
        cache.invalidate()
        assert cache.get_or_set("key", None, source.load) == "second"
        proxy.restore()

        def cached_again() -> bool:
            assert cache.get_or_set("key", None, source.load) == "second"
            return bool(cache.get("key") == "second")

        wait_until(cached_again)
        other = Cache(make_settings(redis_url=redis_url), prefix)
        assert other.get("key") == "second"
        for each in (cache, other):
            each.close()

    def test_redis_killed_while_loading(
        self, make_settings: MakeSettings, proxy: TcpProxy, prefix: str
    ) -> None:
        cache = Cache(make_settings(redis_url=f"redis://127.0.0.1:{proxy.port}/0"), prefix)

        def load() -> str:
            proxy.cut()
            return "loaded"

        assert cache.get_or_set("key", None, load) == "loaded"
        cache.close()

    def test_a_redis_that_hangs_costs_one_timeout(
        self, make_settings: MakeSettings, proxy: TcpProxy, prefix: str
    ) -> None:
        redis_url = f"redis://127.0.0.1:{proxy.port}/0"
        proxy.stall()
        settings = make_settings(redis_url=redis_url, redis_timeout_seconds=0.2, redis_cooldown_seconds=300)
        cache = Cache(settings, prefix)
        before = _errors()
        for _ in range(50):
            assert cache.get("key") is None
        assert _errors() - before == 1
        cache.close()

    def test_a_lost_token_is_made_anew(
        self, make_settings: MakeSettings, redis_url: str, prefix: str
    ) -> None:
        cache, client = Cache(make_settings(redis_url=redis_url), prefix), redis.Redis.from_url(redis_url)
        cache.set("key", "old")
        client.delete(f"{prefix}:token:all")
        assert cache.get("key") is None
        client.close()
        cache.close()
