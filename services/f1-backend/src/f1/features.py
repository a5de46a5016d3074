"""The feature table: what is known of every driver before a race. The one place for training and serving.

The races go through a `FeatureState` in order: `features(race, entries, stage)` reads it, then
`update(record)` adds the result. So a race's features cannot depend on its own outcome or on a later race,
and a row is the same whether it is computed for training or to serve.

Running figures are exponentially weighted and shrunk to a prior: (Σ wᵢxᵢ + k·prior) / (Σ wᵢ + k), where an
observation's weight halves with every `half_life` later ones of the same driver or team. A newcomer gets the
prior, which for a driver is what the car does. What is short-lived (`…_recent`) also loses half of its weight
between seasons, when cars and rules change.

`FEATURES` lists the columns; NaN is "not known" everywhere. Sprint races are not read: neither their results
nor their points are in any figure. Weather is not a feature: for most seasons it is not known, and what was
observed on the day was not known before it.
"""

from __future__ import annotations

import copy
import hashlib
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from f1 import elo
from f1.history import POST_QUALIFYING, PRE_WEEKEND, Entry, Outcome, Race, RaceRecord, Stage
from f1.identities import lineage

# Both ratings exist twice: one that is steady, which is also the one shown, and one that follows fast.
STEADY_K, FAST_K = 60.0, 150.0
DRIVER_OFF_SEASON = 0.1
CONSTRUCTOR_OFF_SEASON = 0.25
# Gaps beyond this many percent say "no representative lap", not "how slow"; in the race, "lapped".
GAP_CAP = 4.0
RACE_GAP_CAP = 3.0
RECENT_KEPT = 0.5

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Feature:
    """A column: its name, what it means in plain words, and whether it needs the qualifying to have been
    run."""

    name: str
    label: str
    needs_grid: bool = False


FEATURES: tuple[Feature, ...] = (
    Feature("grid", "Starting place", needs_grid=True),
    Feature("session_gap", "Gap to pole in qualifying (%)", needs_grid=True),
    Feature("teammate_session_gap", "Gap to the teammate in this qualifying (%)", needs_grid=True),
    Feature("driver_elo", "Driver ELO above the field"),
    Feature("constructor_elo", "Constructor ELO above the field"),
    Feature("driver_elo_fast", "Driver ELO above the field, following fast"),
    Feature("constructor_elo_fast", "Constructor ELO above the field, following fast"),
    Feature("driver_form", "Driver's finishes (share of the finishers beaten)"),
    Feature("constructor_form", "Constructor's finishes (share of the finishers beaten)"),
    Feature("driver_wins", "How often the driver won"),
    Feature("driver_pace", "Driver's qualifying pace (% off pole)"),
    Feature("constructor_pace", "Constructor's qualifying pace, better car (% off pole)"),
    Feature("driver_pace_recent", "Driver's qualifying pace in the last races (% off pole)"),
    Feature("constructor_pace_recent", "Constructor's qualifying pace in the last races (% off pole)"),
    Feature("driver_pace_long", "Driver's qualifying pace over a season (% off pole)"),
    Feature("constructor_race_pace", "Constructor's gap to the winner in races, better car (% of the time)"),
    Feature("race_gain", "Places the driver usually gains on the grid order"),
    Feature("season_points", "Share of the season's points so far"),
    Feature("season_wins", "Share of the season's wins so far"),
    Feature("teammate_gap", "Usual qualifying gap to teammates (%)"),
    Feature("track_history", "Driver's record at this circuit"),
    Feature("grid_matters", "How much the grid decides at this circuit"),
    Feature("driver_dnf", "Driver's retirement rate"),
    Feature("constructor_dnf", "Constructor's retirement rate"),
    Feature("experience", "Races driven (logarithm)"),
)

# What a chance owes to the strength of the others; it is part of an explanation, not a feature.
FIELD = "field"
LABELS = {feature.name: feature.label for feature in FEATURES} | {FIELD: "Strength of the field"}
RETIRED = frozenset({"dnf", "dsq", "nc"})


def columns(stage: Stage) -> list[str]:
    """Names of the features of a stage, in order."""
    return [f.name for f in FEATURES if stage == POST_QUALIFYING or not f.needs_grid]


def schema_hash() -> str:
    """Fingerprint of names, order and stages of the features; an artifact made for another schema is
    refused."""
    schema = {stage: columns(stage) for stage in (PRE_WEEKEND, POST_QUALIFYING)}
    return hashlib.sha256(json.dumps(schema, sort_keys=True).encode()).hexdigest()


class _Running:
    """Exponentially weighted means by key."""

    def __init__(self, half_life: float, k: float) -> None:
        self._decay, self._k = 0.5 ** (1.0 / half_life), k
        self._sums: dict[object, tuple[float, float]] = {}

    def add(self, key: object, value: float) -> None:
        total, weight = self._sums.get(key, (0.0, 0.0))
        self._sums[key] = (total * self._decay + value, weight * self._decay + 1.0)

    def mean(self, key: object, prior: float) -> float:
        total, weight = self._sums.get(key, (0.0, 0.0))
        return (total + self._k * prior) / (weight + self._k)

    def fade(self, share: float) -> None:
        """Keep `share` of the weight of all that was seen."""
        self._sums = {key: (total * share, weight * share) for key, (total, weight) in self._sums.items()}


class _Ratings:
    """ELO of drivers and of constructors, under the first name of each team."""

    def __init__(self, k: float) -> None:
        self._k = k
        self.drivers: dict[str, float] = {}
        self.constructors: dict[str, float] = {}

    def new_season(self) -> None:
        for ratings, share in (
            (self.drivers, DRIVER_OFF_SEASON),
            (self.constructors, CONSTRUCTOR_OFF_SEASON),
        ):
            for key, rating in ratings.items():
                ratings[key] = elo.regressed(rating, share)

    def update(self, drivers: list[str], teams: list[str]) -> None:
        """Take an order of arrival in. A team is placed at the mean of its cars."""
        places = np.arange(len(drivers), dtype=np.float64)
        before = np.array([self.drivers.get(d, elo.START) for d in drivers])
        for driver, rating in zip(drivers, elo.updated(before, places, self._k), strict=True):
            self.drivers[driver] = float(rating)
        names = list(dict.fromkeys(teams))
        means = np.array(
            [np.mean([p for p, t in zip(places, teams, strict=True) if t == name]) for name in names]
        )
        ratings = np.array([self.constructors.get(name, elo.START) for name in names])
        for name, rating in zip(names, elo.updated(ratings, means, self._k), strict=True):
            self.constructors[name] = float(rating)


class FeatureState:
    """Everything the features remember of the races so far."""

    def __init__(self) -> None:
        self._steady, self._fast = _Ratings(STEADY_K), _Ratings(FAST_K)
        self._season = 0
        self._starts: dict[str, int] = {}
        self._driver_form = _Running(8.0, 2.0)
        # Two cars a race: this is four races.
        self._constructor_form = _Running(8.0, 2.0)
        self._driver_wins = _Running(10.0, 1.0)
        self._constructor_wins = _Running(10.0, 1.0)
        self._driver_pace = _Running(8.0, 1.0)
        self._constructor_pace = _Running(6.0, 1.0)
        self._driver_recent = _Running(3.0, 1.0)
        self._constructor_recent = _Running(3.0, 1.0)
        self._driver_long = _Running(15.0, 1.0)
        self._constructor_long = _Running(15.0, 1.0)
        self._race_pace = _Running(8.0, 1.0)
        self._race_gain = _Running(13.0, 10.0)
        self._teammate = _Running(13.0, 5.0)
        self._track = _Running(6.0, 3.0)
        self._order = _Running(6.0, 4.0)
        self._driver_dnf = _Running(13.0, 10.0)
        self._constructor_dnf = _Running(13.0, 10.0)
        self._season_points: dict[str, float] = {}
        self._season_wins: dict[str, float] = {}

    def ratings(self, drivers: Iterable[str], season: int) -> dict[str, float]:
        """Driver ELO going into a race of `season`; the start value for whoever has not raced."""
        return self._rated(self._steady.drivers, drivers, season, DRIVER_OFF_SEASON)

    def constructor_ratings(self, constructors: Iterable[str], season: int) -> dict[str, float]:
        """Constructor ELO likewise, following teams through their changes of name."""
        return {
            c: self._rated(self._steady.constructors, [lineage(c)], season, CONSTRUCTOR_OFF_SEASON)[
                lineage(c)
            ]
            for c in constructors
        }

    def _rated(
        self, ratings: dict[str, float], of: Iterable[str], season: int, off_season: float
    ) -> dict[str, float]:
        share = off_season if season != self._season else 0.0
        return {key: elo.regressed(ratings.get(key, elo.START), share) for key in of}

    def _above_field(self, ratings: dict[str, float], of: list[str], season: int, share: float) -> Floats:
        rated = self._rated(ratings, of, season, share)
        values = np.array([rated[key] for key in of])
        return np.asarray(values - values.mean(), dtype=np.float64)

    def features(self, race: Race, entries: Sequence[Entry], stage: Stage) -> pd.DataFrame:
        """One row an entry (index: driver ids, in the order given), columns as `columns(stage)`.

        Unknown values are NaN. Raises ValueError for fewer than two entries or a driver entered twice.
        """
        drivers = [entry.driver for entry in entries]
        if len(entries) < 2 or len(set(drivers)) != len(drivers):
            raise ValueError("a race needs two or more entries, each driver once")
        teams = [lineage(entry.constructor) for entry in entries]
        season = race.season
        # What fades between seasons has faded before the first race of the next one.
        kept = self if season == self._season else self._next_season()
        cars = list(zip(drivers, teams, strict=True))
        data: dict[str, object] = {}
        if stage == POST_QUALIFYING:
            gaps = _gaps(entries)
            data["grid"] = slots(entries)
            data["session_gap"] = gaps
            data["teammate_session_gap"] = _to_teammates(gaps, teams)
        steady, fast = self._steady, self._fast
        pace = {t: self._constructor_pace.mean(t, 1.5) for t in teams}
        recent = {t: kept._constructor_recent.mean(t, 1.5) for t in teams}
        long = {t: self._constructor_long.mean(t, 1.5) for t in teams}
        wins = {t: self._constructor_wins.mean(t, 0.05) for t in teams}
        form = {t: self._constructor_form.mean(t, 0.5) for t in teams}
        data |= {
            "driver_elo": self._above_field(steady.drivers, drivers, season, DRIVER_OFF_SEASON),
            "constructor_elo": self._above_field(steady.constructors, teams, season, CONSTRUCTOR_OFF_SEASON),
            "driver_elo_fast": self._above_field(fast.drivers, drivers, season, DRIVER_OFF_SEASON),
            "constructor_elo_fast": self._above_field(
                fast.constructors, teams, season, CONSTRUCTOR_OFF_SEASON
            ),
            "driver_form": [self._driver_form.mean(d, form[t]) for d, t in cars],
            "constructor_form": [form[t] for t in teams],
            "driver_wins": [self._driver_wins.mean(d, wins[t] / 2.0) for d, t in cars],
            "driver_pace": [self._driver_pace.mean(d, pace[t]) for d, t in cars],
            "constructor_pace": [pace[t] for t in teams],
            "driver_pace_recent": [kept._driver_recent.mean(d, recent[t]) for d, t in cars],
            "constructor_pace_recent": [recent[t] for t in teams],
            "driver_pace_long": [self._driver_long.mean(d, long[t]) for d, t in cars],
            "constructor_race_pace": [self._race_pace.mean(t, 1.2) for t in teams],
            "race_gain": [self._race_gain.mean(d, 0.0) for d in drivers],
            "season_points": _shares(kept._season_points, drivers),
            "season_wins": _shares(kept._season_wins, drivers),
            "teammate_gap": [self._teammate.mean(d, 0.0) for d in drivers],
            "track_history": [self._track.mean((d, race.circuit), 0.0) for d in drivers],
            "grid_matters": self._order.mean(race.circuit, self._order.mean(None, 0.6)),
            "driver_dnf": [self._driver_dnf.mean(d, 0.12) for d in drivers],
            "constructor_dnf": [self._constructor_dnf.mean(t, 0.12) for t in teams],
            "experience": [math.log1p(self._starts.get(d, 0)) for d in drivers],
        }
        return pd.DataFrame(data, index=pd.Index(drivers, name="driver"), dtype=np.float64)

    def _next_season(self) -> FeatureState:
        """What the features of a new season read of the short-lived figures."""
        fresh = FeatureState()
        for name in ("_driver_recent", "_constructor_recent"):
            running = copy.copy(getattr(self, name))
            running.fade(RECENT_KEPT)
            setattr(fresh, name, running)
        return fresh

    def update(self, record: RaceRecord) -> None:
        """Take a completed race in. Its date must not be before that of the last one taken in."""
        if record.race.season != self._season:
            self._new_season(record.race.season)
        self._update_qualifying(record.entries)
        started = [o for o in record.outcomes if o.status not in {"dns", "dnq", "dnp"}]
        self._update_rates(started)
        for outcome in record.outcomes:
            driver = outcome.driver
            self._season_points[driver] = self._season_points.get(driver, 0.0) + outcome.points
            if outcome.position == 1:
                self._season_wins[driver] = self._season_wins.get(driver, 0.0) + 1.0
        entered = {entry.driver for entry in record.entries}
        classified = sorted((o for o in started if o.position is not None), key=lambda o: o.position or 0)
        finishers = [o for o in classified if o.driver in entered]
        if len(finishers) >= 2:
            self._update_finishes(record, finishers)

    def _update_rates(self, started: Sequence[Outcome]) -> None:
        won: dict[str, float] = {}
        for outcome in started:
            team, driver = lineage(outcome.constructor), outcome.driver
            retired = float(outcome.status in RETIRED)
            self._driver_dnf.add(driver, retired)
            self._constructor_dnf.add(team, retired)
            self._starts[driver] = self._starts.get(driver, 0) + 1
            self._driver_wins.add(driver, float(outcome.position == 1))
            won[team] = max(won.get(team, 0.0), float(outcome.position == 1))
        for team, win in won.items():
            self._constructor_wins.add(team, win)

    def _update_finishes(self, record: RaceRecord, finishers: Sequence[Outcome]) -> None:
        # Retirements are reliability, not skill: these compare those who finished.
        drivers, teams = [o.driver for o in finishers], [lineage(o.constructor) for o in finishers]
        for ratings in (self._steady, self._fast):
            ratings.update(drivers, teams)
        places = np.arange(len(finishers), dtype=np.float64)
        score = 1.0 - places / (len(finishers) - 1)
        entries = record.entries
        grid = dict(zip([entry.driver for entry in entries], slots(entries), strict=True))
        grid_rank = _ranks([grid[driver] for driver in drivers])
        for i, (driver, team) in enumerate(zip(drivers, teams, strict=True)):
            expected = self._driver_form.mean(driver, self._constructor_form.mean(team, 0.5))
            self._track.add((driver, record.race.circuit), float(score[i]) - expected)
            self._race_gain.add(driver, float(grid_rank[i] - places[i]))
        for i, (driver, team) in enumerate(zip(drivers, teams, strict=True)):
            self._driver_form.add(driver, float(score[i]))
            self._constructor_form.add(team, float(score[i]))
        gaps = {o.driver: o.gap for o in finishers if o.gap is not None}
        best = _best(teams, [min(gaps.get(driver, math.nan), RACE_GAP_CAP) for driver in drivers])
        for team, gap in best.items():
            self._race_pace.add(team, gap)
        if len(finishers) > 2:
            order = float(np.corrcoef(grid_rank, places)[0, 1])
            self._order.add(record.race.circuit, order)
            self._order.add(None, order)

    def _new_season(self, season: int) -> None:
        self._season = season
        self._season_points, self._season_wins = {}, {}
        self._driver_recent.fade(RECENT_KEPT)
        self._constructor_recent.fade(RECENT_KEPT)
        self._steady.new_season()
        self._fast.new_season()

    def _update_qualifying(self, entries: Sequence[Entry]) -> None:
        teams = [lineage(entry.constructor) for entry in entries]
        gaps = _gaps(entries)
        for entry, gap, mate in zip(entries, gaps, _to_teammates(gaps, teams), strict=True):
            if not math.isnan(gap):
                for running in (self._driver_pace, self._driver_recent, self._driver_long):
                    running.add(entry.driver, float(gap))
            if not math.isnan(mate):
                self._teammate.add(entry.driver, float(mate))
        for team, gap in _best(teams, list(gaps)).items():
            for running in (self._constructor_pace, self._constructor_recent, self._constructor_long):
                running.add(team, gap)


def slots(entries: Sequence[Entry]) -> list[float]:
    """Starting place of each entry: the grid, or the qualifying place while there is no grid.

    A start from the pit lane, and an entry with neither, is behind everybody; an event without any of them
    has NaN.
    """
    known = [e.grid if e.grid is not None else e.qualifying_position for e in entries]
    if all(place is None for place in known):
        return [math.nan] * len(entries)
    last = float(max(len(entries), *(place or 0 for place in known)))
    return [
        last if entry.pit_lane or place is None else float(place)
        for entry, place in zip(entries, known, strict=True)
    ]


def _ranks(values: Sequence[float]) -> Floats:
    return np.argsort(np.argsort(values, kind="stable"), kind="stable").astype(np.float64)


def _gaps(entries: Sequence[Entry]) -> Floats:
    return np.array(
        [math.nan if entry.session_gap is None else min(entry.session_gap, GAP_CAP) for entry in entries],
        dtype=np.float64,
    )


def _best(teams: Sequence[str], gaps: Sequence[float]) -> dict[str, float]:
    """The smallest known gap of each team; a team without one is left out."""
    best: dict[str, float] = {}
    for team, gap in zip(teams, gaps, strict=True):
        if not math.isnan(gap):
            best[team] = min(best.get(team, math.inf), float(gap))
    return best


def _shares(amounts: dict[str, float], drivers: Sequence[str]) -> list[float]:
    total = sum(amounts.values())
    return [amounts.get(driver, 0.0) / total if total else 0.0 for driver in drivers]


def _to_teammates(gaps: Floats, teams: Sequence[str]) -> list[float]:
    """Each gap minus the mean of the team's others; NaN where there is nobody to compare with."""
    result = []
    for i, team in enumerate(teams):
        others = [
            gaps[j] for j, other in enumerate(teams) if other == team and j != i and not math.isnan(gaps[j])
        ]
        result.append(float(gaps[i] - np.mean(others)) if others else math.nan)
    return result


@dataclass(frozen=True)
class TrainingTable:
    """Features of many races, stacked: `races[i]` owns the rows where `group == i`."""

    races: list[RaceRecord]
    features: dict[Stage, pd.DataFrame]
    group: np.ndarray[tuple[int], np.dtype[np.int64]]


def replay(history: Iterable[RaceRecord]) -> FeatureState:
    """The state after the given races, which must be in order."""
    state = FeatureState()
    for record in history:
        state.update(record)
    return state


def training_table(history: Sequence[RaceRecord]) -> TrainingTable:
    """Features of every completed race of an ordered history, each from the races before it only.

    A race without a winner gives no row, and is taken in like any other.
    """
    state = FeatureState()
    frames: dict[Stage, list[pd.DataFrame]] = {PRE_WEEKEND: [], POST_QUALIFYING: []}
    races: list[RaceRecord] = []
    group: list[int] = []
    for record in history:
        if record.run and not record.completed:
            state.update(record)
        if not record.completed:
            continue
        for stage, parts in frames.items():
            parts.append(state.features(record.race, record.entries, stage))
        group += [len(races)] * len(record.entries)
        races.append(record)
        state.update(record)
    return TrainingTable(
        races, {s: pd.concat(parts) for s, parts in frames.items()}, np.array(group, dtype=np.int64)
    )
