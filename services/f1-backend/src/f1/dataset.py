"""A season as any source delivers it, and how it becomes the history that the features read."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import astuple, dataclass, field

from f1.history import Entry, Outcome, Race, RaceRecord, Status, ordered

# Without a place on the grid these took no part in the race.
NOT_STARTED = frozenset({"dns", "dnq", "dnp"})


class SourceError(Exception):
    """A source delivered something that cannot be taken in; the message says where, what, and what is
    allowed."""


@dataclass(frozen=True)
class CircuitRow:
    """A track."""

    id: str
    name: str
    type: str
    latitude: float | None = None
    longitude: float | None = None


@dataclass(frozen=True)
class RaceRow:
    """A race of the calendar."""

    round: int
    name: str
    circuit: CircuitRow
    date: dt.date
    laps: int | None = None
    distance_km: float | None = None


@dataclass(frozen=True)
class Who:
    """A driver in a car, with names as the source gives them."""

    driver: str
    constructor: str
    driver_name: str
    constructor_name: str
    code: str | None = None


@dataclass(frozen=True)
class ResultRow:
    """How a driver's race ended."""

    round: int
    who: Who
    position: int | None
    status: Status
    grid: int | None
    pit_lane: bool
    points: float
    laps: int | None = None
    time: str | None = None
    reason: str | None = None


@dataclass(frozen=True)
class QualifyingRow:
    """A driver's qualifying; times in milliseconds."""

    round: int
    who: Who
    position: int | None
    q1: int | None = None
    q2: int | None = None
    q3: int | None = None


@dataclass(frozen=True)
class SeasonData:
    """All of a season that a source knows."""

    year: int
    races: tuple[RaceRow, ...]
    results: tuple[ResultRow, ...]
    qualifying: tuple[QualifyingRow, ...]
    demo: bool = False
    rain: dict[int, float] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """How many rows this is."""
        return len(self.races) + len(self.results) + len(self.qualifying)

    def fingerprint(self) -> str:
        """SHA-256 over everything in it; equal for equal data."""
        return hashlib.sha256(repr(astuple(self)).encode()).hexdigest()


def session_gaps(times: dict[str, tuple[int | None, int | None, int | None]]) -> dict[str, float]:
    """Gap to the best time of the last session that each driver set a time in, in percent."""
    best = [
        min((lap for lap in session if lap is not None), default=None) for session in zip(*times.values())
    ]
    gaps = {}
    for driver, laps in times.items():
        for lap, fastest in zip(reversed(laps), reversed(best), strict=True):
            if lap is not None and fastest is not None:
                gaps[driver] = (lap / fastest - 1.0) * 100.0
                break
    return gaps


def race_record(race: Race, results: Iterable[ResultRow], qualifying: Iterable[QualifyingRow]) -> RaceRecord:
    """A race's entries and outcomes. Before the race the entries are those of the qualifying."""
    by_driver = {row.who.driver: row for row in qualifying}
    gaps = session_gaps({driver: (row.q1, row.q2, row.q3) for driver, row in by_driver.items()})
    rows = [r for r in results if r.grid is not None or r.pit_lane or r.status not in NOT_STARTED]
    if not rows:
        entries = tuple(
            Entry(d, q.who.constructor, None, False, q.position, gaps.get(d))
            for d, q in sorted(by_driver.items())
        )
        return RaceRecord(race, entries)
    entries = tuple(
        Entry(
            row.who.driver,
            row.who.constructor,
            row.grid,
            row.pit_lane,
            by_driver[row.who.driver].position if row.who.driver in by_driver else None,
            gaps.get(row.who.driver),
        )
        for row in sorted(rows, key=lambda row: row.who.driver)
    )
    outcomes = tuple(
        Outcome(row.who.driver, row.who.constructor, row.position, row.status, row.points)
        for row in sorted(rows, key=lambda row: row.who.driver)
    )
    return RaceRecord(race, entries, outcomes)


def history(seasons: Iterable[SeasonData]) -> list[RaceRecord]:
    """All races of the seasons, in the order in which they are run."""
    records = []
    for season in seasons:
        results: dict[int, list[ResultRow]] = defaultdict(list)
        qualifying: dict[int, list[QualifyingRow]] = defaultdict(list)
        for result in season.results:
            results[result.round].append(result)
        for lap in season.qualifying:
            qualifying[lap.round].append(lap)
        for row in season.races:
            race = Race(
                season.year,
                row.round,
                row.date,
                row.name,
                row.circuit.id,
                row.circuit.type,
                season.rain.get(row.round),
            )
            records.append(race_record(race, results[row.round], qualifying[row.round]))
    return ordered(records)
