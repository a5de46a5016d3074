import dataclasses
import os
import secrets
import threading
import time
from itertools import count
from types import SimpleNamespace

import pytest

from f1.dataset import QualifyingRow, SourceError, Who
from f1.ingest import jolpica
from f1.ingest.http import JsonClient, Pace
from f1.ingest.jolpica import RULES, Jolpica
from tests.replay import Replay, replaying


class Clock:
    """Stands in for waiting: remembers how long, returns at once."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def __call__(self, seconds: float) -> None:
        self.slept.append(seconds)


def client(clock: Clock | None = None, **values: object) -> JsonClient:
    arguments = {"timeout": 60, "attempts": 4, "sleep": clock or Clock(), **values}
    return JsonClient(**arguments)  # type: ignore[arg-type]


def season(replay: Replay, json_client: JsonClient) -> object:
    with json_client:
        return Jolpica(json_client, replay.url).season(replay.season)


def test_a_season_with_races_to_come() -> None:
    with replaying() as replay, client() as http:
        data = Jolpica(http, replay.url + "/").season(2024)
    assert [race.round for race in data.races] == [1, 2, 3]
    assert data.races[2].circuit.id == "melbourne"
    assert data.races[2].circuit.type == "STREET"
    assert (data.races[0].circuit.latitude, data.races[0].circuit.longitude) == (26.0325, 50.5106)
    assert {row.round for row in data.results} == {1, 2}
    first, pit, _, out, absent = data.results[:5]
    assert (first.who.driver, first.who.driver_name, first.who.code) == (
        "max-verstappen",
        "Max Verstappen",
        "VER",
    )
    assert (first.position, first.grid, first.time, first.status) == (1, 1, "1:33:56.736", "finished")
    assert (pit.grid, pit.pit_lane) == (None, True)
    assert (out.position, out.status, out.reason) == (None, "dnf", "Engine")
    assert (absent.status, absent.pit_lane, absent.who.constructor) == ("dns", False, "kick-sauber")
    assert (data.qualifying[0].q3, data.qualifying[4].q2) == (89_701, None)


def test_a_repeated_row_is_one_row_and_two_that_differ_are_refused() -> None:
    who = Who("a-driver", "a-team", "A Driver", "A Team")
    row = QualifyingRow(1, who, 3, 90_000)
    assert jolpica._unique([row, row], {1}, "qualifying of 2024") == (row,)
    with pytest.raises(SourceError, match="qualifying of 2024: two rows of a-driver in round 1 that differ"):
        jolpica._unique([row, dataclasses.replace(row, position=4)], {1}, "qualifying of 2024")


def test_pages_that_cut_a_race_in_two_and_are_smaller_than_asked() -> None:
    with replaying(page_limit=3) as replay:
        data = season(replay, client())
        asked = [query for path, query, _ in replay.requests if path.endswith("/2024/results/")]
    assert len(data.results) == 10  # type: ignore[attr-defined]
    assert [query["offset"] for query in asked] == [["0"], ["3"], ["6"], ["9"]]
    assert {query["limit"][0] for query in asked} == {"100"}


@pytest.mark.parametrize(
    "trouble", ["500", "502", "503 1", "429 2", "truncated", "half", "html", "list", "hang up"]
)
def test_a_bad_answer_is_asked_for_again(trouble: str) -> None:
    clock = Clock()
    with replaying(script=[trouble, trouble]) as replay:
        data = season(replay, client(clock))
    assert len(data.results) == 10  # type: ignore[attr-defined]
    assert len(clock.slept) == 2
    assert all(0 <= pause <= 60 for pause in clock.slept)


def test_a_server_that_does_not_answer_is_asked_again() -> None:
    clock = Clock()
    with replaying(script=["silent", "silent"]) as replay:
        # On a busy machine good answers come too late as well, which costs no more than an attempt.
        data = season(replay, client(clock, timeout=0.3, attempts=1000))
    assert len(data.results) == 10  # type: ignore[attr-defined]
    assert len(clock.slept) >= 2


def test_retry_after_is_obeyed() -> None:
    clock = Clock()
    with replaying(script=["429 17", "503 40"]) as replay:
        season(replay, client(clock))
    assert clock.slept == [17.0, 40.0]


@pytest.mark.parametrize(
    ("trouble", "message"),
    [
        ("503", "status 503"),
        ("429 1", "status 429"),
        ("html", "not JSON"),
        ("truncated", "connection failed"),
    ],
)
def test_it_gives_up_after_the_last_attempt(trouble: str, message: str) -> None:
    with replaying(always=trouble) as replay, pytest.raises(SourceError, match=message) as caught:
        season(replay, client(attempts=2))
    assert "2 attempts" in str(caught.value)


def test_it_gives_up_on_a_server_that_does_not_answer() -> None:
    with (
        replaying(always="silent") as replay,
        pytest.raises(SourceError, match=r"no answer in 0\.3 s \(2 attempts\)"),
    ):
        season(replay, client(timeout=0.3, attempts=2))


def test_it_gives_up_on_an_answer_that_does_not_end(monkeypatch: pytest.MonkeyPatch) -> None:
    # Time passes with each look at the clock, and not while bytes are waited for.
    ticks = count(step=100)
    monkeypatch.setattr("f1.ingest.http.time", SimpleNamespace(monotonic=lambda: next(ticks)))
    with (
        replaying(always="unfinished") as replay,
        pytest.raises(SourceError, match=r"not complete in 80 s \(2 attempts\)"),
    ):
        season(replay, client(timeout=20, attempts=2))


def test_a_status_that_will_not_change_is_not_asked_again() -> None:
    with replaying(always="404") as replay:
        with pytest.raises(SourceError, match="status 404"):
            season(replay, client())
        assert len(replay.requests) == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"total": "many"}, "MRData.total"),
        ({"limit": "0"}, "MRData.limit"),
        ({"RaceTable": {}}, "MRData.RaceTable.Races"),
        ({"RaceTable": {"Races": []}}, "is empty"),
        ({"RaceTable": {"Races": [{"season": "2024"}]}}, "Races.0.round"),
    ],
)
def test_an_answer_of_another_shape_is_named(changes: dict[str, object], message: str) -> None:
    with replaying(page_limit=2, changes=changes) as replay, pytest.raises(SourceError, match=message):
        season(replay, client())


def test_an_answer_about_another_season_is_refused() -> None:
    with replaying() as replay:
        replay.changes = replay.page("/2023/races/", {"limit": ["100"], "offset": ["0"]})["MRData"]
        with pytest.raises(SourceError, match="a race of season 2023, asked for 2024"):
            season(replay, client())


def test_the_key_is_a_header_and_never_in_a_message() -> None:
    headers = {"Authorization": "Bearer top-secret"}
    with replaying(always="500") as replay:
        with pytest.raises(SourceError) as caught:
            season(replay, client(headers=headers, attempts=1))
        assert replay.requests[0][2]["Authorization"] == "Bearer top-secret"
    assert "top-secret" not in str(caught.value)


def test_the_pace_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [time.time()]

    def sleep(seconds: float) -> None:
        # No sleep is exact: it takes a little longer.
        now[0] += seconds + 0.001

    monkeypatch.setattr(time, "time", lambda: now[0])
    pace = Pace("burst", "4/second;500/hour", None, sleep)
    times = []
    for _ in range(9):
        pace.wait()
        times.append(now[0])
    for i, moment in enumerate(times[4:]):
        assert 0.99 <= moment - times[i] < 1.2


def test_the_hourly_limit_waits() -> None:
    waits: list[float] = []

    class Reached(Exception):
        pass

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        raise Reached

    pace = Pace("hour", "3/hour", None, sleep)
    for _ in range(3):
        assert pace.wait() == 0
    with pytest.raises(Reached):
        pace.wait()
    assert 3500 < waits[0] <= 3600
    assert RULES == "4/second;500/hour"


def test_without_redis_the_pace_is_kept_in_memory(caplog: pytest.LogCaptureFixture) -> None:
    pace = Pace("alone", "1/hour", "redis://127.0.0.1:1/0")
    assert pace.wait() == 0
    assert "no Redis" in caplog.text


@pytest.mark.integration
def test_a_new_process_goes_on_with_the_count_of_the_old_one() -> None:
    name, url = f"test-{secrets.token_hex(4)}", os.environ["REDIS_URL"]
    Pace(name, "2/hour", url).wait()
    Pace(name, "2/hour", url).wait()
    stop = threading.Event()

    def sleep(_: float) -> None:
        stop.set()
        raise TimeoutError

    with pytest.raises(TimeoutError):
        Pace(name, "2/hour", url, sleep).wait()
    assert stop.is_set()
