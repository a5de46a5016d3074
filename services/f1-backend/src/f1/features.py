"""Features of a race, from what was known before it. Training and serving both go through `FeatureState`.

The races go through the state in order: `features(race, entries, stage)` reads it, then `update(record)`
adds the result. So a race's features cannot depend on its own outcome or on a later race.

Running figures are exponentially weighted and shrunk to a prior: (Σ wᵢxᵢ + k·prior) / (Σ wᵢ + k), where an
observation's weight decays with each later one. A newcomer gets the prior.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from f1 import elo
from f1.history import POST_QUALIFYING, PRE_WEEKEND, Entry, Race, RaceRecord, Stage
from f1.identities import lineage

DRIVER_K = 30.0
CONSTRUCTOR_K = 30.0
DRIVER_OFF_SEASON = 0.1
CONSTRUCTOR_OFF_SEASON = 0.25
# Gaps beyond this many percent say "no representative lap", not "how slow".
GAP_CAP = 4.0
STREET_TYPES = frozenset({"STREET", "ROAD"})


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
    Feature("driver_form", "Driver's recent finishes"),
    Feature("constructor_form", "Constructor's recent finishes"),
    Feature("driver_pace", "Driver's recent qualifying pace (% off pole)"),
    Feature("constructor_pace", "Constructor's recent qualifying pace (% off pole)"),
    Feature("race_gain", "Places the driver usually gains on the grid order"),
    Feature("season_points", "Share of the season's points so far"),
    Feature("teammate_gap", "Usual qualifying gap to teammates (%)"),
    Feature("track_history", "Driver's record at this circuit"),
    Feature("track_type", "Driver's record on this kind of circuit"),
    Feature("grid_matters", "How much the grid decides at this circuit"),
    Feature("driver_dnf", "Driver's retirement rate"),
    Feature("constructor_dnf", "Constructor's retirement rate"),
    Feature("experience", "Races driven (logarithm)"),
    Feature("rain", "Precipitation on race day (mm)"),
    Feature("rain_skill", "Driver's record in the wet"),
)

LABELS = {feature.name: feature.label for feature in FEATURES}
RETIRED = frozenset({"dnf", "dsq", "nc"})
WET_MM = 1.0


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

    def __init__(self, decay: float, k: float) -> None:
        self._decay, self._k = decay, k
        self._sums: dict[object, tuple[float, float]] = {}

    def add(self, key: object, value: float) -> None:
        total, weight = self._sums.get(key, (0.0, 0.0))
        self._sums[key] = (total * self._decay + value, weight * self._decay + 1.0)

    def mean(self, key: object, prior: float) -> float:
        total, weight = self._sums.get(key, (0.0, 0.0))
        return (total + self._k * prior) / (weight + self._k)


class FeatureState:
    """Everything the features remember of the races so far."""

    def __init__(self) -> None:
        self._driver_elo: dict[str, float] = {}
        self._constructor_elo: dict[str, float] = {}
        self._season = 0
        self._starts: dict[str, int] = {}
        self._driver_form = _Running(0.85, 2.0)
        self._constructor_form = _Running(0.90, 2.0)
        self._driver_pace = _Running(0.80, 1.0)
        self._constructor_pace = _Running(0.85, 1.0)
        self._race_gain = _Running(0.95, 10.0)
        self._teammate = _Running(0.95, 5.0)
        self._track = _Running(0.90, 3.0)
        self._kind = _Running(0.95, 6.0)
        self._wet = _Running(0.95, 5.0)
        self._order = _Running(0.90, 4.0)
        self._driver_dnf = _Running(0.95, 10.0)
        self._constructor_dnf = _Running(0.95, 10.0)
        self._season_points: dict[str, float] = {}

    def ratings(self, drivers: Iterable[str], season: int) -> dict[str, float]:
        """Driver ELO going into a race of `season`; the start value for whoever has not raced."""
        share = DRIVER_OFF_SEASON if season != self._season else 0.0
        return {d: elo.regressed(self._driver_elo.get(d, elo.START), share) for d in drivers}

    def constructor_ratings(self, constructors: Iterable[str], season: int) -> dict[str, float]:
        """Constructor ELO likewise, following teams through their changes of name."""
        share = CONSTRUCTOR_OFF_SEASON if season != self._season else 0.0
        return {
            c: elo.regressed(self._constructor_elo.get(lineage(c), elo.START), share) for c in constructors
        }

    def _driver_prior(self, entry: Entry) -> float:
        # A newcomer is expected to do what his car does.
        return self._constructor_form.mean(lineage(entry.constructor), 0.5)

    def features(self, race: Race, entries: Sequence[Entry], stage: Stage) -> pd.DataFrame:
        """One row an entry (index: driver ids, in the order given), columns as `columns(stage)`.

        Unknown values are NaN. Raises ValueError for fewer than two entries or a driver entered twice.
        """
        drivers = [entry.driver for entry in entries]
        if len(entries) < 2 or len(set(drivers)) != len(drivers):
            raise ValueError("a race needs two or more entries, each driver once")
        teams = [lineage(entry.constructor) for entry in entries]
        driver_elo = np.array(list(self.ratings(drivers, race.season).values()))
        team_ratings = self.constructor_ratings(teams, race.season)
        team_elo = np.array([team_ratings[team] for team in teams])
        points = self._season_points if race.season == self._season else {}
        total_points = sum(points.values())
        street = race.circuit_type in STREET_TYPES
        form_prior = [self._driver_prior(entry) for entry in entries]
        form = [self._driver_form.mean(d, p) for d, p in zip(drivers, form_prior, strict=True)]
        team_pace = [self._constructor_pace.mean(t, 1.5) for t in teams]
        data: dict[str, object] = {}
        if stage == POST_QUALIFYING:
            data["grid"] = slots(entries)
            gaps = np.array([_capped(entry.session_gap) for entry in entries], dtype=np.float64)
            data["session_gap"] = gaps
            data["teammate_session_gap"] = _to_teammates(gaps, teams)
        data |= {
            "driver_elo": driver_elo - driver_elo.mean(),
            "constructor_elo": team_elo - team_elo.mean(),
            "driver_form": form,
            "constructor_form": [self._constructor_form.mean(t, 0.5) for t in teams],
            "driver_pace": [self._driver_pace.mean(d, p) for d, p in zip(drivers, team_pace, strict=True)],
            "constructor_pace": team_pace,
            "race_gain": [self._race_gain.mean(d, 0.0) for d in drivers],
            "season_points": [points.get(d, 0.0) / total_points if total_points else 0.0 for d in drivers],
            "teammate_gap": [self._teammate.mean(d, 0.0) for d in drivers],
            "track_history": [self._track.mean((d, race.circuit), 0.0) for d in drivers],
            "track_type": [self._kind.mean((d, street), 0.0) for d in drivers],
            "grid_matters": self._order.mean(race.circuit, self._order.mean(None, 0.6)),
            "driver_dnf": [self._driver_dnf.mean(d, 0.12) for d in drivers],
            "constructor_dnf": [self._constructor_dnf.mean(t, 0.12) for t in teams],
            "experience": [math.log1p(self._starts.get(d, 0)) for d in drivers],
            "rain": math.nan if race.rain_mm is None else race.rain_mm,
            "rain_skill": [self._wet.mean(d, 0.0) for d in drivers],
        }
        return pd.DataFrame(data, index=pd.Index(drivers, name="driver"), dtype=np.float64)

    def update(self, record: RaceRecord) -> None:
        """Take a completed race in. Its date must not be before that of the last one taken in."""
        race = record.race
        if race.season != self._season:
            self._new_season(race.season)
        entries = {entry.driver: entry for entry in record.entries}
        self._update_qualifying(record.entries)
        started = [o for o in record.outcomes if o.status not in {"dns", "dnq", "dnp"}]
        classified = sorted((o for o in started if o.position is not None), key=lambda o: o.position or 0)
        finishers = [o for o in classified if o.driver in entries]
        places = np.arange(len(finishers), dtype=np.float64)
        for outcome in started:
            team = lineage(outcome.constructor)
            retired = float(outcome.status in RETIRED)
            self._driver_dnf.add(outcome.driver, retired)
            self._constructor_dnf.add(team, retired)
            self._starts[outcome.driver] = self._starts.get(outcome.driver, 0) + 1
        for outcome in record.outcomes:
            self._season_points[outcome.driver] = (
                self._season_points.get(outcome.driver, 0.0) + outcome.points
            )
        if len(finishers) < 2:
            return
        self._update_elo([o.driver for o in finishers], [lineage(o.constructor) for o in finishers])
        grid = dict(zip(entries, slots(list(entries.values())), strict=True))
        grid_rank = _ranks([grid[o.driver] for o in finishers])
        score = 1.0 - places / (len(finishers) - 1)
        street = race.circuit_type in STREET_TYPES
        for i, outcome in enumerate(finishers):
            driver, team = outcome.driver, lineage(outcome.constructor)
            surprise = float(score[i]) - self._driver_form.mean(
                driver, self._constructor_form.mean(team, 0.5)
            )
            self._track.add((driver, race.circuit), surprise)
            self._kind.add((driver, street), surprise)
            if race.rain_mm is not None and race.rain_mm >= WET_MM:
                self._wet.add(driver, surprise)
            self._race_gain.add(driver, float(grid_rank[i] - places[i]))
        for i, outcome in enumerate(finishers):
            self._driver_form.add(outcome.driver, float(score[i]))
            self._constructor_form.add(lineage(outcome.constructor), float(score[i]))
        if len(finishers) > 2:
            order = float(np.corrcoef(grid_rank, places)[0, 1])
            self._order.add(race.circuit, order)
            self._order.add(None, order)

    def _new_season(self, season: int) -> None:
        self._season = season
        self._season_points = {}
        for ratings, share in (
            (self._driver_elo, DRIVER_OFF_SEASON),
            (self._constructor_elo, CONSTRUCTOR_OFF_SEASON),
        ):
            for key, rating in ratings.items():
                ratings[key] = elo.regressed(rating, share)

    def _update_qualifying(self, entries: Sequence[Entry]) -> None:
        teams = [lineage(entry.constructor) for entry in entries]
        gaps = np.array([_capped(entry.session_gap) for entry in entries], dtype=np.float64)
        to_mate = _to_teammates(gaps, teams)
        for entry, team, gap, mate in zip(entries, teams, gaps, to_mate, strict=True):
            if not math.isnan(gap):
                self._driver_pace.add(entry.driver, float(gap))
                self._constructor_pace.add(team, float(gap))
            if not math.isnan(mate):
                self._teammate.add(entry.driver, float(mate))

    def _update_elo(self, drivers: list[str], teams: list[str]) -> None:
        # Retirements are reliability, not skill: both ratings compare those who finished.
        places = np.arange(len(drivers), dtype=np.float64)
        before = np.array([self._driver_elo.get(d, elo.START) for d in drivers])
        for driver, rating in zip(drivers, elo.updated(before, places, DRIVER_K), strict=True):
            self._driver_elo[driver] = float(rating)
        names = list(dict.fromkeys(teams))
        means = np.array(
            [np.mean([p for p, t in zip(places, teams, strict=True) if t == name]) for name in names]
        )
        ratings = np.array([self._constructor_elo.get(name, elo.START) for name in names])
        for name, rating in zip(names, elo.updated(ratings, means, CONSTRUCTOR_K), strict=True):
            self._constructor_elo[name] = float(rating)


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


def _ranks(values: Sequence[float]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.argsort(np.argsort(values, kind="stable"), kind="stable").astype(np.float64)


def _capped(gap: float | None) -> float:
    return math.nan if gap is None else min(gap, GAP_CAP)


def _to_teammates(gaps: np.ndarray[tuple[int], np.dtype[np.float64]], teams: Sequence[str]) -> list[float]:
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
    """Features of every completed race of an ordered history, each from the races before it only."""
    state = FeatureState()
    frames: dict[Stage, list[pd.DataFrame]] = {PRE_WEEKEND: [], POST_QUALIFYING: []}
    races: list[RaceRecord] = []
    group: list[int] = []
    for record in history:
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
