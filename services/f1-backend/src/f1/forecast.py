"""A race's forecast in the form in which it is stored and shown."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from f1.features import FIELD, LABELS, FeatureState, replay, slots
from f1.history import POST_QUALIFYING, PRE_WEEKEND, Entry, Race, RaceRecord, Stage
from f1.model.baseline import GridBaseline, names
from f1.model.artifact import Loaded
from f1.model.ensemble import StageModel
from f1.model.evaluation import Predicted, baselines_of
from f1.model.races import Floats

TOP_CONTRIBUTIONS = 5
# A qualifying counts once it has this share of the drivers of the race before.
QUALIFIED_SHARE = 0.8


@dataclass(frozen=True)
class Chance:
    """One driver's chances. `contributions` are as `schemas.Contribution`."""

    driver: str
    constructor: str
    grid: int | None
    win: float
    podium: float
    baseline_win: float
    contributions: list[dict[str, Any]]


@dataclass(frozen=True)
class Forecast:
    """All chances of a race, the most likely winner first."""

    race: Race
    stage: Stage
    chances: list[Chance]
    # What baselines said: win probabilities by driver, by the name of the baseline.
    baselines: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    # Why it is not what one would expect, in a sentence; None when it is.
    note: str | None = None


def stage_of(entries: Sequence[Entry]) -> Stage:
    """Post-qualifying as soon as a grid or a qualifying order is known."""
    known = any(e.grid is not None or e.qualifying_position is not None for e in entries)
    return POST_QUALIFYING if known else PRE_WEEKEND


def forecast(
    state: FeatureState, race: Race, entries: Sequence[Entry], model: StageModel, baseline: GridBaseline
) -> Forecast:
    """Predict a race from the state of the races before it."""
    stage = model.stage
    features = state.features(race, entries, stage)
    win, podium = model.predict(features)
    grid = np.array(slots(entries), dtype=np.float64)
    return _assembled(
        race,
        stage,
        entries,
        features,
        win,
        podium,
        baseline.win(grid, np.zeros(len(grid), dtype=np.int64)),
        model.contributions(features),
    )


def of_predicted(item: Predicted) -> Forecast:
    """The forecast of a walk-forward prediction."""
    result = _assembled(
        item.race.race,
        item.stage,
        item.race.entries,
        item.features,
        item.win,
        item.podium,
        item.baseline,
        item.contributions,
    )
    baselines = {
        name: {driver: float(p) for driver, p in zip(item.drivers, item.by[name].win, strict=True)}
        for name in names(item.stage)
    }
    return replace(result, baselines=baselines)


def _assembled(
    race: Race,
    stage: Stage,
    entries: Sequence[Entry],
    features: pd.DataFrame,
    win: Floats,
    podium: Floats,
    baseline: Floats,
    contributions: pd.DataFrame,
) -> Forecast:
    chances = []
    for i in np.argsort(-win, kind="stable"):
        entry = entries[i]
        grid = entry.grid if entry.grid is not None or entry.pit_lane else entry.qualifying_position
        chances.append(
            Chance(
                entry.driver,
                entry.constructor,
                grid if stage == POST_QUALIFYING else None,
                float(win[i]),
                float(podium[i]),
                float(baseline[i]),
                _top(features.iloc[i], contributions.iloc[i]),
            )
        )
    return Forecast(race, stage, chances)


def _top(values: pd.Series[float], contributions: pd.Series[float]) -> list[dict[str, Any]]:
    contributions = contributions.drop(FIELD)
    largest = contributions.abs().sort_values(ascending=False, kind="stable").index[:TOP_CONTRIBUTIONS]
    return [
        {
            "feature": str(name),
            "label": LABELS[str(name)],
            "value": None if pd.isna(values[name]) else round(float(values[name]), 6),
            "contribution": round(float(contributions[name]), 6),
        }
        for name in largest
    ]


def expected_entries(race: Race, history: Sequence[RaceRecord]) -> tuple[Entry, ...]:
    """Who will probably take part while nobody has qualified: those of the last race run before it.

    Nobody before the first race of a season: drivers and teams of last season are not this one's.
    """
    last = _last_run(race, history)
    if last is None or last.race.season != race.season:
        return ()
    return tuple(Entry(entry.driver, entry.constructor) for entry in last.entries)


def _last_run(race: Race, history: Sequence[RaceRecord]) -> RaceRecord | None:
    return next((r for r in reversed(history) if r.run and r.race.date < race.date), None)


@dataclass(frozen=True)
class LineUp:
    """Who is predicted, at which stage, and why it is not what one would expect."""

    entries: tuple[Entry, ...]
    stage: Stage
    note: str | None = None


def line_up(record: RaceRecord, history: Sequence[RaceRecord]) -> LineUp:
    """Those of the qualifying once nearly all of them are known, before that those who are expected.

    A qualifying that is only partly known would make favourites of whoever happens to be in it.
    """
    last = _last_run(record.race, history)
    usual = len(last.entries) if last else 0
    if len(record.entries) >= max(2.0, QUALIFIED_SHARE * usual):
        return LineUp(record.entries, stage_of(record.entries))
    expected = expected_entries(record.race, history)
    notes = []
    if record.entries:
        notes.append(
            f"Qualifying has {len(record.entries)} of about {usual} drivers so far; "
            "this is the forecast from before it."
        )
    if not expected:
        notes.append(f"Who takes part in {record.race.season} is not known before its first qualifying.")
    return LineUp(expected, PRE_WEEKEND, " ".join(notes) or None)


def grid_baseline(history: Sequence[RaceRecord], season: int) -> GridBaseline:
    """The grid-only baseline from all seasons before `season`."""
    grid: list[float] = []
    won: list[bool] = []
    for record in history:
        if record.completed and record.race.season < season:
            grid += slots(record.entries)
            won += [entry.driver == record.winner for entry in record.entries]
    return GridBaseline.fit(np.array(grid, dtype=np.float64), np.array(won, dtype=np.bool_))


def predict_upcoming(
    model: Loaded, record: RaceRecord, history: Sequence[RaceRecord], state: FeatureState
) -> Forecast:
    """Predict a race to come from the state after the last completed one; no chances when nobody can be
    expected."""
    found = line_up(record, history)
    if len(found.entries) < 2:
        return Forecast(record.race, found.stage, [], note=found.note)
    result = forecast(
        state,
        record.race,
        found.entries,
        model.stages[found.stage],
        grid_baseline(history, record.race.season),
    )
    return replace(result, note=found.note)


def next_race(history: Sequence[RaceRecord]) -> RaceRecord | None:
    """The first race after the last one that was run; None when the calendar has none."""
    cutoff = max((record.race.date for record in history if record.run), default=dt.date.min)
    return next((record for record in history if not record.run and record.race.date > cutoff), None)


def to_be_judged(model: Loaded, coming: RaceRecord, history: Sequence[RaceRecord]) -> Forecast:
    """The forecast of a race to come together with what every baseline says of it."""
    result = predict_upcoming(model, coming, history, replay(record for record in history if record.run))
    if not result.chances:
        return result
    expected = replace(coming, entries=line_up(coming, history).entries)
    return replace(result, baselines=baselines_of(history, expected, result.stage))
