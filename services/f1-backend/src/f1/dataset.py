"""A season as any source delivers it, and how it becomes the history that the features read."""

from __future__ import annotations

import datetime as dt
import hashlib
import re
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


def check(season: SeasonData) -> list[str]:
    """What is odd in a season but can be taken in, each with the race it is about.

    Odd are two cars on one place of the grid, and results without a winner: such a race has been run, but
    nothing can be learned from who won it.
    Raises SourceError for what cannot be true: a race outside the year, and results of one car alone.
    """
    results: dict[int, list[ResultRow]] = defaultdict(list)
    for row in season.results:
        results[row.round].append(row)
    odd = []
    for race in season.races:
        name = f"{season.year}/{race.round} {race.name}"
        rows = results[race.round]
        if race.date.year != season.year:
            raise SourceError(f"{name}: a date in {season.year} is allowed, found {race.date}")
        if len(rows) == 1:
            raise SourceError(
                f"{name}: results of two cars or more are allowed, or none, found {rows[0].who.driver} alone"
            )
        slots: dict[int, list[str]] = defaultdict(list)
        for row in rows:
            if row.grid is not None:
                slots[row.grid].append(row.who.driver)
        odd += [
            f"{name}: {' and '.join(drivers)} start from place {place}"
            for place, drivers in sorted(slots.items())
            if len(drivers) > 1
        ]
        if rows and not any(row.position == 1 for row in rows):
            odd.append(
                f"{name}: nobody is in place 1; who won it is not known until the results are corrected"
            )
    return odd


def merged(first: QualifyingRow, second: QualifyingRow) -> QualifyingRow | None:
    """Two rows of a driver in one session: times set, then a penalty. The times stay, the later place counts.

    None when they contradict each other: other times of the same part, or another car.
    """
    parts = list(zip((first.q1, first.q2, first.q3), (second.q1, second.q2, second.q3), strict=True))
    if first.who.constructor != second.who.constructor or any(a and b and a != b for a, b in parts):
        return None
    return QualifyingRow(first.round, second.who, second.position, *(a or b for a, b in parts))


_TIME = re.compile(r"\+?(?:(?:(\d+):)?(\d{1,2}):)?(\d{1,2}\.\d+)s?")


def _seconds(text: str) -> float | None:
    """Seconds of a race time like 1:33:56.736 or a gap like +11.987; None for anything else (+1 lap)."""
    match = _TIME.fullmatch(text)
    if not match:
        return None
    hours, minutes, seconds = match.groups()
    return int(hours or 0) * 3600 + int(minutes or 0) * 60 + float(seconds)


def race_gaps(results: Iterable[ResultRow]) -> dict[str, float]:
    """Time behind the winner in percent of the winner's, of those classified; the winner has 0.

    Sources give the whole time or the gap. Who was lapped is behind by the laps he lacks. A driver of whom
    neither is known is left out, and all are when the winner's time is not known.
    """
    placed = [row for row in results if row.position is not None]
    winner = next((row for row in placed if row.position == 1), None)
    whole = _seconds(winner.time or "") if winner else None
    if winner is None or not whole:
        return {}
    gaps = {winner.who.driver: 0.0}
    for row in placed:
        time = _seconds(row.time or "")
        if row is winner:
            continue
        if time is not None:
            behind = time if (row.time or "").startswith("+") or time < whole else time - whole
            gaps[row.who.driver] = behind / whole * 100.0
        elif row.laps and winner.laps and row.laps < winner.laps:
            gaps[row.who.driver] = (winner.laps / row.laps - 1.0) * 100.0
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
    behind = race_gaps(rows)
    outcomes = tuple(
        Outcome(
            row.who.driver,
            row.who.constructor,
            row.position,
            row.status,
            row.points,
            behind.get(row.who.driver),
        )
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
