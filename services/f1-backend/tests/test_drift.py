import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytest

from f1.dataset import SeasonData, history
from f1.history import Entry, RaceRecord
from f1.ingest import demo, run
from f1.monitoring import watch
from f1.monitoring.drift import (
    LEAST_RACES,
    LEAST_WINDOWS,
    REFERENCE,
    Correction,
    DriftReport,
    drift,
    holm,
)
from servicekit.database import Database
from tests.conftest import settings_for

NEWEST = 8


@pytest.fixture(scope="module")
def long() -> list[SeasonData]:
    """Ten simulated seasons, all run."""
    return demo.simulate(5, 10, dt.date(2024, 12, 31))[:10]


@pytest.fixture(scope="module")
def races(long: list[SeasonData]) -> list[RaceRecord]:
    return history(long)


def before(races: Sequence[RaceRecord], unseen: int) -> dt.date:
    """The cutoff of a model that has not seen the last races."""
    return races[-unseen - 1].race.date


def changed(races: Sequence[RaceRecord], last: int, change: Callable[[Entry], Entry]) -> list[RaceRecord]:
    """The entries of the last races, changed."""
    return [
        *races[:-last],
        *(
            replace(record, entries=tuple(change(entry) for entry in record.entries))
            for record in races[-last:]
        ),
    ]


def found(report: DriftReport) -> set[str]:
    return {each.name for each in report.features if each.drifted}


def test_simulated_seasons_do_not_drift(races: list[RaceRecord]) -> None:
    report = drift(races, before(races, NEWEST), [])
    assert (report.verdict, report.because, found(report)) == ("no-drift", None, set())
    assert (report.races, report.reference, report.rows) == (NEWEST, REFERENCE, 20 * NEWEST)
    assert report.windows >= LEAST_WINDOWS
    # Rarely, whichever seasons they are.
    looks = [
        drift(own, before(own, NEWEST), []).verdict
        for own in (history(demo.simulate(seed, 10, dt.date(2024, 12, 31))[:10]) for seed in range(4))
    ]
    assert looks.count("drift") <= 1


@pytest.mark.parametrize(
    ("change", "feature"),
    [
        # Milliseconds where there were percent.
        (lambda entry: replace(entry, session_gap=(entry.session_gap or 0.0) * 900), "session_gap"),
        (lambda entry: replace(entry, session_gap=None), "session_gap"),
        (lambda entry: replace(entry, grid=None, qualifying_position=None), "grid"),
        (lambda entry: replace(entry, grid=1), "grid"),
    ],
)
def test_broken_inputs_are_found_by_name(
    races: list[RaceRecord], change: Callable[[Entry], Entry], feature: str
) -> None:
    report = drift(changed(races, NEWEST, change), before(races, NEWEST), [])
    assert report.verdict == "drift"
    assert feature in found(report)
    drifted = next(each for each in report.features if each.name == feature)
    assert drifted.distance > drifted.usual and drifted.chance <= 0.05
    assert drifted.label in report.finding()


def test_few_races_are_too_little_data_and_never_no_drift(races: list[RaceRecord]) -> None:
    few = LEAST_RACES - 1
    report = drift(changed(races, few, lambda entry: replace(entry, grid=1)), before(races, few), [])
    assert (report.verdict, report.races) == ("too-little-data", few)
    assert report.because == "4 races that the model has not seen are needed, there are 3"
    assert drift(races, races[-1].race.date, []).verdict == "too-little-data"
    young = races[: REFERENCE + NEWEST * LEAST_WINDOWS + NEWEST - 1]
    report = drift(young, before(young, NEWEST), [])
    assert report.verdict == "too-little-data"
    assert report.because == ("104 races before these 8 are needed to know what is usual, there are 103")
    assert drift(races[:104] + races[104 : 104 + NEWEST], races[103].race.date, []).verdict == "no-drift"
    assert drift([], dt.date(2024, 1, 1), []).verdict == "too-little-data"
    assert drift(races, None, []).verdict == "no-model"


def test_corrections_of_the_races_compared_are_listed(races: list[RaceRecord]) -> None:
    def corrected(record: RaceRecord) -> Correction:
        race = record.race
        return Correction(
            race.season,
            race.round,
            race.name,
            race.date,
            "qualifying",
            2,
            "demo",
            False,
            dt.datetime(2024, 12, 31, tzinfo=dt.UTC),
        )

    inside, outside = corrected(races[-1]), corrected(races[0])
    report = drift(
        changed(races, NEWEST, lambda entry: replace(entry, session_gap=None)),
        before(races, NEWEST),
        [outside, inside],
    )
    assert report.corrections == [inside]
    assert report.finding().endswith("; 1 corrections of data fall into these races")


def test_holm_adjusts_for_the_number_of_tests() -> None:
    assert holm(np.array([0.01, 0.04, 0.03])) == pytest.approx([0.03, 0.06, 0.06])
    assert holm(np.array([0.9, 0.8])) == pytest.approx([1.0, 1.0])


@pytest.fixture
def database(empty_database: str) -> Iterator[Database]:
    opened = Database(settings_for(database_url=empty_database))
    yield opened
    opened.close()


@pytest.mark.integration
def test_drift_is_a_finding_with_the_corrections_that_came_with_it(
    database: Database, long: list[SeasonData], races: list[RaceRecord]
) -> None:
    run.ingest(database, "demo", long)
    now = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)
    serving = watch.Serving("m-1", before(races, NEWEST))
    assert not watch.look(database, serving, 0.05, now).findings
    # A correction takes the times of the last qualifyings away.
    rounds = {record.race.round for record in races[-NEWEST:]}
    lost = replace(
        long[-1],
        qualifying=tuple(
            replace(row, q1=None, q2=None, q3=None) if row.round in rounds else row
            for row in long[-1].qualifying
        ),
    )
    run.ingest(database, "demo", [lost])
    seen = watch.look(database, serving, 0.05, now)
    assert seen.drift.verdict == "drift"
    assert {(each.round, each.kind, each.version) for each in seen.drift.corrections} == {
        (round_, "qualifying", 2) for round_ in rounds
    }
    (finding,) = seen.findings
    assert (finding.key, finding.kind, finding.stage, finding.state) == ("drift:m-1", "drift", None, "open")
    assert f"{NEWEST} corrections of data fall into these races" in finding.message
    assert not watch.look(database, serving, 0.05, now).changed
    # The next version of the source has them again.
    run.ingest(database, "demo", [long[-1]])
    assert [each.state for each in watch.look(database, serving, 0.05, now).findings] == ["withdrawn"]
