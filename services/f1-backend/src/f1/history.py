"""Races as the features see them: plain records in the order in which they were run."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Status = Literal["finished", "dnf", "dns", "dsq", "nc", "dnq", "dnp"]
Stage = Literal["pre-weekend", "post-qualifying"]

PRE_WEEKEND: Stage = "pre-weekend"
POST_QUALIFYING: Stage = "post-qualifying"


@dataclass(frozen=True)
class Race:
    """A race of the calendar. `rain_mm` is the precipitation of the day, None when not known."""

    season: int
    round: int
    date: dt.date
    name: str
    circuit: str
    circuit_type: str
    rain_mm: float | None = None

    @property
    def key(self) -> tuple[int, int]:
        """Season and round."""
        return self.season, self.round


@dataclass(frozen=True)
class Entry:
    """A driver who takes part, with what is known before the start.

    `grid` is the starting place, None when not known; a start from the pit lane has `pit_lane` instead.
    `session_gap` is the gap to the best time of the last qualifying session driven, in percent.
    """

    driver: str
    constructor: str
    grid: int | None = None
    pit_lane: bool = False
    qualifying_position: int | None = None
    session_gap: float | None = None


@dataclass(frozen=True)
class Outcome:
    """How a driver's race ended. `position` is None when not classified.

    `gap` is the time behind the winner in percent of the winner's, None when not known.
    """

    driver: str
    constructor: str
    position: int | None
    status: Status
    points: float = 0.0
    gap: float | None = None


@dataclass(frozen=True)
class RaceRecord:
    """A race, who took part, and how it ended; no outcomes for a race that has not been run."""

    race: Race
    entries: tuple[Entry, ...]
    outcomes: tuple[Outcome, ...] = ()

    @property
    def run(self) -> bool:
        """Whether there are results, be it without a winner: one who was disqualified has no successor until
        the results are corrected."""
        return bool(self.outcomes)

    @property
    def completed(self) -> bool:
        """Whether there is a winner."""
        return any(outcome.position == 1 for outcome in self.outcomes)

    @property
    def winner(self) -> str:
        """The winner's id. Raises ValueError for a race that has not been run."""
        for outcome in self.outcomes:
            if outcome.position == 1:
                return outcome.driver
        raise ValueError(f"race {self.race.season}/{self.race.round} has no winner")

    @property
    def podium(self) -> frozenset[str]:
        """The ids of the first three."""
        return frozenset(o.driver for o in self.outcomes if o.position is not None and o.position <= 3)


def ordered(records: Iterable[RaceRecord]) -> list[RaceRecord]:
    """The records in the order in which the races were run."""
    return sorted(records, key=lambda record: (record.race.date, record.race.season, record.race.round))
