from collections.abc import Callable
from itertools import count

import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from servicekit.visits import MOST_RELEASES

MakeClient = Callable[..., TestClient]

SHOWN = ("release", "config")

# The metrics are those of the process, so each test has releases of its own.
_numbers = count(1)


def _release() -> str:
    return f"{next(_numbers):040x}"


def _counted(client: TestClient, release: str, config: str = "") -> dict[str, float]:
    families = text_string_to_metric_families(client.get("/metrics").text)
    samples = [
        sample for family in families for sample in family.samples if not sample.name.endswith("_created")
    ]
    return {
        " ".join(
            [sample.name, *(value for name, value in sample.labels.items() if name not in SHOWN)]
        ): sample.value
        for sample in samples
        if [sample.labels.get(name) for name in SHOWN] == [release, config]
    }


def _tell(client: TestClient, **visit: object) -> int:
    return client.post("/api/visits", json=visit).status_code


def test_counts_what_pages_tell_by_release(make_client: MakeClient) -> None:
    client = make_client()
    one, other = _release(), _release()
    for release in (one, one, other):
        assert _tell(client, release=release, event="view") == 204
    assert _tell(client, release=one, event="failure") == 204
    vitals = {"LCP": "good", "INP": "needs-improvement", "CLS": "poor"}
    assert _tell(client, release=one, event="vitals", vitals=vitals) == 204
    assert _tell(client, release=one, event="vitals", vitals={"LCP": "good"}) == 204
    assert _counted(client, one) == {
        "web_views_total": 2,
        "web_failed_views_total": 1,
        "web_vitals_total LCP good": 2,
        "web_vitals_total INP needs-improvement": 1,
        "web_vitals_total CLS poor": 1,
    }
    assert _counted(client, other) == {"web_views_total": 1}


def test_counts_configurations_of_a_release_apart(make_client: MakeClient) -> None:
    client = make_client()
    release, config = _release(), "c" * 40
    assert _tell(client, release=release, event="view", config=config) == 204
    assert _tell(client, release=release, event="failure", config=config) == 204
    assert _tell(client, release=release, event="view") == 204
    assert _counted(client, release, config) == {"web_views_total": 1, "web_failed_views_total": 1}
    assert _counted(client, release) == {"web_views_total": 1}


@pytest.mark.parametrize(
    "visit",
    [
        {},
        {"event": "view"},
        {"event": "view", "release": "x" * 40},
        {"event": "view", "release": "A" * 40},
        {"event": "view", "release": "a" * 41},
        {"event": "view", "release": "a" * 40 + "\n"},
        {"event": "view", "release": "a" * 40, "more": 1},
        {"event": "view", "release": "a" * 40, "config": "live"},
        {"event": "click", "release": "a" * 40},
        {"event": "vitals", "release": "a" * 40},
        {"event": "vitals", "release": "a" * 40, "vitals": {"FID": "good"}},
        {"event": "vitals", "release": "a" * 40, "vitals": {"LCP": "fine"}},
        {"event": "vitals", "release": "a" * 40, "vitals": {"LCP": 2.5}},
        [],
    ],
)
def test_refuses_anything_else(make_client: MakeClient, visit: object) -> None:
    client = make_client()
    assert client.post("/api/visits", json=visit).status_code == 422
    assert _counted(client, "a" * 40) == {}


def test_forgets_the_release_that_was_told_of_least_recently(make_client: MakeClient) -> None:
    client = make_client(rate_limit_visits="1000/minute")
    first, second, *others = [_release() for _ in range(MOST_RELEASES + 1)]
    for release in (first, second):
        assert _tell(client, release=release, event="view") == 204
    assert _tell(client, release=second, event="vitals", vitals={"CLS": "good"}) == 204
    for release in others[:-1]:
        assert _tell(client, release=release, event="view") == 204
    assert _tell(client, release=first, event="view") == 204
    assert _tell(client, release=others[-1], event="view") == 204
    assert _counted(client, first) == {"web_views_total": 2}
    assert _counted(client, second) == {}


def test_counts_no_more_from_one_address_than_is_allowed(make_client: MakeClient) -> None:
    client = make_client(rate_limit_visits="2/minute")
    release = _release()
    assert [_tell(client, release=release, event="view") for _ in range(3)] == [204, 204, 429]
    assert _counted(client, release) == {"web_views_total": 2}
