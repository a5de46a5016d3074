"""Whether there is something new to train on: by what is in the results, never by the clock."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from f1.history import RaceRecord


@dataclass(frozen=True)
class Round:
    """A race of the calendar: who qualified, of whom there is a result, and whether one of them won."""

    season: int
    round: int
    name: str
    date: dt.date
    qualified: frozenset[str]
    results: frozenset[str]
    won: bool

    def __str__(self) -> str:
        return f"{self.season}/{self.round} {self.name}"


@dataclass(frozen=True)
class Freshness:
    """`new`: train on all rounds but those in `left_out`. `nothing`: the champion knows it all. `incomplete`:
    what is new has not come in completely yet."""

    state: Literal["new", "nothing", "incomplete"]
    reason: str
    left_out: frozenset[tuple[int, int]] = frozenset()


def lacking(round_: Round) -> str | None:
    """What a round that was run lacks to be complete; None when it lacks nothing or was not run."""
    if not round_.results:
        return None
    if not round_.won:
        return f"{round_}: nobody is in place 1"
    missing = sorted(round_.qualified - round_.results)
    return f"{round_}: no results of {', '.join(missing)}, who qualified" if missing else None


def incomplete(rounds: Sequence[Round]) -> dict[tuple[int, int], str]:
    """Rounds that are still coming in, and what they lack.

    Only what no complete round has followed: what a source still lacks then is all that it has, such as no
    row of a driver who did not start.
    """
    waiting: dict[tuple[int, int], str] = {}
    for round_ in sorted(rounds, key=lambda each: each.date, reverse=True):
        lack = lacking(round_)
        if lack is not None:
            waiting[round_.season, round_.round] = lack
        elif round_.results:
            break
    return waiting


def without(history: Sequence[RaceRecord], left_out: frozenset[tuple[int, int]]) -> list[RaceRecord]:
    """The races to train on."""
    return [record for record in history if record.race.key not in left_out]


@dataclass(frozen=True)
class Seen:
    """What the champion was trained on."""

    data_hash: str
    cutoff: dt.date


def freshness(
    rounds: Sequence[Round], data_hash: str, champion: Seen | None, findings: Sequence[str] = ()
) -> Freshness:
    """Compare the rounds with what the champion has seen.

    `data_hash` is that of the races without those that `incomplete` names. `findings` are those of
    monitoring that no training has answered yet, each in a sentence: a reason to train although the champion
    has seen all.
    """
    found = _compared(rounds, data_hash, champion)
    if not findings or found.state == "incomplete" or not any(each.results for each in rounds):
        return found
    monitored = "; ".join(f"monitoring found: {each}" for each in findings)
    if found.state == "nothing":
        return Freshness("new", monitored, found.left_out)
    return Freshness("new", f"{found.reason}; {monitored}", found.left_out)


def _compared(rounds: Sequence[Round], data_hash: str, champion: Seen | None) -> Freshness:
    waiting = incomplete(rounds)
    left_out = frozenset(waiting)
    complete = [each for each in rounds if each.results and (each.season, each.round) not in left_out]
    if not complete:
        return Freshness(
            "incomplete" if waiting else "nothing", _said(waiting) or "no race has results", left_out
        )
    if champion is None:
        return Freshness(
            "new", f"there is no champion; the newest complete round is {_newest(complete)}", left_out
        )
    if data_hash == champion.data_hash:
        if waiting:
            return Freshness("incomplete", _said(waiting), left_out)
        return Freshness("nothing", f"the champion has seen {_newest(complete)} and all before it", left_out)
    new = [str(each) for each in complete if each.date > champion.cutoff]
    if new:
        return Freshness("new", f"the champion has not seen {', '.join(new)}", left_out)
    return Freshness("new", "results that the champion has seen were corrected since", left_out)


def _newest(complete: Sequence[Round]) -> Round:
    return max(complete, key=lambda each: each.date)


def _said(waiting: dict[tuple[int, int], str]) -> str:
    return "; ".join(waiting.values())
