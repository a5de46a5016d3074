from collections.abc import Callable

import pytest
from fastapi import APIRouter, Depends, Request
from fastapi.testclient import TestClient

from servicekit.ratelimit import RateLimit, client_address

MakeClient = Callable[..., TestClient]


def _router(rule: str | Callable[..., str] = "2/minute", name: str = "try") -> APIRouter:
    router = APIRouter()

    @router.get("/try", dependencies=[Depends(RateLimit(name, rule))])
    def attempt() -> None:
        return None

    return router


def _statuses(client: TestClient, times: int, **headers: str) -> list[int]:
    return [client.get("/try", headers=headers).status_code for _ in range(times)]


def test_counts_by_itself_while_redis_is_away(make_client: MakeClient) -> None:
    client = make_client(_router(lambda settings: "2/minute;100/hour"))
    assert _statuses(client, 2) == [200, 200]
    response = client.get("/try")
    assert response.status_code == 429
    assert 1 <= int(response.headers["retry-after"]) <= 60
    assert "At most 2/minute;100/hour" in response.json()["detail"]


def test_forwarded_addresses_count_only_from_trusted_proxies(make_client: MakeClient) -> None:
    untrusted = make_client(_router())
    assert _statuses(untrusted, 1, **{"X-Forwarded-For": "198.51.100.1"}) == [200]
    assert _statuses(untrusted, 2, **{"X-Forwarded-For": "198.51.100.2"}) == [200, 429]

    behind_proxy = make_client(_router(), client="10.1.2.3", trusted_proxies="10.0.0.0/8")
    assert _statuses(behind_proxy, 3, **{"X-Forwarded-For": "198.51.100.1"}) == [200, 200, 429]
    assert _statuses(behind_proxy, 1, **{"X-Forwarded-For": "198.51.100.2"}) == [200]
    # What the client itself wrote in front of the proxy's entry does not count.
    assert _statuses(behind_proxy, 1, **{"X-Forwarded-For": "192.0.2.9, 198.51.100.1"}) == [429]


@pytest.mark.parametrize(
    ("peer", "forwarded", "counted"),
    [
        # Not from a proxy: whatever the header says, the peer counts.
        ("203.0.113.7", ["198.51.100.1"], "203.0.113.7"),
        ("203.0.113.7", ["10.1.2.3"], "203.0.113.7"),
        ("172.16.0.1", ["198.51.100.1"], "172.16.0.1"),
        # From a proxy: the last address that no proxy has, which is the one that a proxy saw.
        ("10.1.2.3", [], "10.1.2.3"),
        ("10.1.2.3", ["203.0.113.7"], "203.0.113.7"),
        ("10.1.2.3", ["198.51.100.1, 203.0.113.7"], "203.0.113.7"),
        ("10.1.2.3", ["10.9.9.9, 203.0.113.7"], "203.0.113.7"),
        ("10.1.2.3", ["198.51.100.1, 203.0.113.7, 10.4.5.6"], "203.0.113.7"),
        ("10.1.2.3", ["198.51.100.1", "203.0.113.7"], "203.0.113.7"),
        ("10.1.2.3", ["198.51.100.1, 203.0.113.7", "10.4.5.6"], "203.0.113.7"),
        ("10.1.2.3", ["unknown, 203.0.113.7:4711"], "203.0.113.7"),
        ("10.1.2.3", ["' OR 1=1, 203.0.113.7"], "203.0.113.7"),
        ("10.1.2.3", ["198.51.100.1, [2001:db8::7]:4711"], "2001:db8::/64"),
    ],
)
def test_a_client_cannot_choose_its_address(
    make_client: MakeClient, peer: str, forwarded: list[str], counted: str
) -> None:
    router = APIRouter()

    @router.get("/who")
    def who(request: Request) -> str:
        return client_address(request)

    client = make_client(router, client=peer, trusted_proxies="10.0.0.0/8")
    response = client.get("/who", headers=[("X-Forwarded-For", value) for value in forwarded])
    assert response.json() == counted


def test_an_ipv6_network_is_one_client(make_client: MakeClient) -> None:
    client = make_client(_router(), client="10.1.2.3", trusted_proxies="10.0.0.0/8")
    statuses = [_statuses(client, 1, **{"X-Forwarded-For": f"2001:db8::{number}"})[0] for number in range(3)]
    assert statuses == [200, 200, 429]
    assert _statuses(client, 1, **{"X-Forwarded-For": "2001:db8:0:1::1"}) == [200]


def test_addresses_that_are_none(make_client: MakeClient) -> None:
    assert _statuses(make_client(_router(), client="testclient"), 3) == [200, 200, 429]


@pytest.mark.integration
def test_processes_share_the_count(
    make_client: MakeClient, redis_url: str, request: pytest.FixtureRequest
) -> None:
    name = f"shared-{id(request)}"
    first, second = (make_client(_router(name=name), redis_url=redis_url) for _ in range(2))
    assert _statuses(first, 1) + _statuses(second, 1) + _statuses(first, 1) == [200, 200, 429]
