"""Walk-forward evaluation: every race is predicted by a model fitted only on races before it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd

from f1.features import TrainingTable
from f1.history import POST_QUALIFYING, RaceRecord, Stage
from f1.model.baseline import GridBaseline
from f1.model.ensemble import Calibration, Members, StageModel, recency
from f1.model.races import Bools, Floats, Ints, Places

# A model needs this many seasons before the first one that it predicts.
LEAST_SEASONS = 3
BINS = 10
DRAWS = 2000
NOT_CLASSIFIED = 99


@dataclass(frozen=True)
class Table:
    """The stacked races of a history, as arrays."""

    races: list[RaceRecord]
    features: dict[Stage, pd.DataFrame]
    group: Ints
    position: Ints
    season: Ints

    @classmethod
    def of(cls, table: TrainingTable) -> Table:
        """From the features of a history. Raises ValueError when there is no completed race."""
        position = []
        for record in table.races:
            places = {o.driver: o.position for o in record.outcomes}
            position += [places[entry.driver] or NOT_CLASSIFIED for entry in record.entries]
        seasons = np.array([record.race.season for record in table.races], dtype=np.int64)
        return cls(
            table.races, table.features, table.group, np.array(position, dtype=np.int64), seasons[table.group]
        )

    def rows(self, races: Bools) -> Bools:
        """Rows of the races chosen."""
        return np.asarray(races[self.group])

    def places(self, rows: Bools, now: int) -> Places:
        """Positions of the rows with recency weights as of season `now`."""
        return Places(self.position[rows], _dense(self.group[rows]), recency(self.season[rows], now))


def _dense(group: Ints) -> Ints:
    return np.asarray(np.unique(group, return_inverse=True)[1], dtype=np.int64)


@dataclass(frozen=True)
class Predicted:
    """Out-of-sample predictions of one race at one stage, rows in the order of its entries."""

    race: RaceRecord
    stage: Stage
    features: pd.DataFrame
    win: Floats
    podium: Floats
    baseline: Floats
    contributions: pd.DataFrame
    data_cutoff: dt.date

    def order(self) -> list[str]:
        """Drivers, the most likely winner first."""
        return [str(self.features.index[i]) for i in np.argsort(-self.win, kind="stable")]


@dataclass(frozen=True)
class WalkForward:
    """All out-of-sample predictions of a stage and the calibration fitted on them."""

    predicted: list[Predicted]
    calibration: Calibration


Progress = Callable[[str], None]


def quiet(_: str) -> None:
    """Progress that nobody wants to see."""
    return None


def blocks(table: Table, first: int, last: int, every: int | None) -> list[Bools]:
    """Races of the seasons first … last in pieces of one fit each: a season, or `every` races of it."""
    season = np.array([record.race.season for record in table.races])
    pieces = []
    for year in range(first, last + 1):
        found = np.flatnonzero(season == year)
        size = every or max(len(found), 1)
        for start in range(0, len(found), size):
            piece = np.zeros(len(season), dtype=bool)
            piece[found[start : start + size]] = True
            pieces.append(piece)
    return pieces


def walk_forward(
    table: Table, stage: Stage, pieces: Sequence[Bools], progress: Progress = quiet, jobs: int = 2
) -> WalkForward:
    """Predict the pieces in order, each with members fitted on all races before it.

    The calibration of a piece is fitted on the out-of-sample predictions of the pieces before it.
    """
    features, grid = table.features[stage], table.features[POST_QUALIFYING]["grid"].to_numpy(dtype=np.float64)
    predicted: list[Predicted] = []
    boosted = np.full(len(table.group), np.nan)
    forest = np.full(len(table.group), np.nan)
    for piece in pieces:
        first = int(np.flatnonzero(piece)[0])
        year = table.races[first].race.season
        before = table.rows(np.arange(len(table.races)) < first)
        rows = table.rows(piece)
        members = Members.fit(stage, features[before], table.places(before, year), jobs)
        group = _dense(table.group[rows])
        cutoff = table.races[first - 1].race.date
        model = StageModel(members, _calibration(table, boosted, forest, before, year))
        win, podium = model.predict(features[rows], group)
        boosted[rows], forest[rows] = members.predict(features[rows], group)
        earlier = before & (table.season < year)
        baseline = GridBaseline.fit(grid[earlier], table.position[earlier] == 1).win(grid[rows], group)
        for index, record in enumerate(np.array(table.races, dtype=object)[piece]):
            of = group == index
            own = features[rows][of]
            predicted.append(
                Predicted(
                    record, stage, own, win[of], podium[of], baseline[of], members.contributions(own), cutoff
                )
            )
        progress(f"{stage}: {year} predicted from {int(before.sum())} starts")
    everything = np.ones(len(table.group), dtype=bool)
    return WalkForward(predicted, _calibration(table, boosted, forest, everything, int(table.season[-1])))


def _calibration(table: Table, boosted: Floats, forest: Floats, rows: Bools, now: int) -> Calibration:
    known = rows & ~np.isnan(boosted)
    if not known.any():
        return Calibration()
    return Calibration.fit(boosted[known], forest[known], table.places(known, now))


def fit(table: Table, stage: Stage, calibration: Calibration, jobs: int = 2) -> StageModel:
    """The model of a stage from all races, with a calibration from walk-forward."""
    everything = np.ones(len(table.group), dtype=bool)
    places = table.places(everything, int(table.season[-1]))
    return StageModel(Members.fit(stage, table.features[stage], places, jobs), calibration)


@dataclass(frozen=True)
class Scores:
    """Scores over races; see `schemas.Metrics` for what each means."""

    races: int
    winner_top1: float
    podium_precision: float
    winner_log_loss: float
    brier: float
    ece: float


@dataclass(frozen=True)
class Bin:
    """One bin of a calibration plot."""

    bin_low: float
    bin_high: float
    predicted: float
    observed: float
    count: int


def _won(item: Predicted) -> Bools:
    return np.array([driver == item.race.winner for driver in item.features.index])


def log_losses(items: Sequence[Predicted], of: Callable[[Predicted], Floats]) -> Floats:
    """−ln(probability given to the winner) of each race."""
    return np.array([-np.log(max(float(of(item)[_won(item)][0]), 1e-15)) for item in items])


def podium_hits(item: Predicted, win: Floats) -> int:
    """How many of the three most likely reached the podium."""
    likely = {str(item.features.index[i]) for i in np.argsort(-win, kind="stable")[:3]}
    return len(item.race.podium & likely)


def calibration_bins(items: Sequence[Predicted], of: Callable[[Predicted], Floats]) -> list[Bin]:
    """Predicted and observed win rates in ten equal bins; empty bins are left out."""
    p = np.concatenate([of(item) for item in items])
    won = np.concatenate([_won(item) for item in items])
    which = np.minimum((p * BINS).astype(int), BINS - 1)
    return [
        Bin(
            b / BINS,
            (b + 1) / BINS,
            float(p[which == b].mean()),
            float(won[which == b].mean()),
            int((which == b).sum()),
        )
        for b in range(BINS)
        if (which == b).any()
    ]


def scores(items: Sequence[Predicted], of: Callable[[Predicted], Floats]) -> Scores:
    """All scores of the predictions that `of` picks from each race."""
    bins = calibration_bins(items, of)
    total = sum(b.count for b in bins)
    return Scores(
        len(items),
        float(np.mean([_won(item)[int(np.argmax(of(item)))] for item in items])),
        float(np.mean([podium_hits(item, of(item)) / 3.0 for item in items])),
        float(log_losses(items, of).mean()),
        float(np.mean([np.sum((of(item) - _won(item)) ** 2) for item in items])),
        sum(b.count / total * abs(b.predicted - b.observed) for b in bins),
    )


def bootstrap(difference: Floats, seed: int, draws: int = DRAWS) -> dict[str, float]:
    """Percentile interval (2.5, 50, 97.5 %) of the mean of paired differences, races drawn with
    replacement."""
    picks = np.random.default_rng(seed).integers(0, len(difference), size=(draws, len(difference)))
    low, mid, high = np.percentile(difference[picks].mean(axis=1), [2.5, 50.0, 97.5])
    return {"low": float(low), "mid": float(mid), "high": float(high)}


def model_win(item: Predicted) -> Floats:
    """The model's win probabilities."""
    return item.win


def baseline_win(item: Predicted) -> Floats:
    """The grid-only win probabilities."""
    return item.baseline


@dataclass(frozen=True)
class Evaluation:
    """Model and baseline over the same races."""

    seasons: list[int]
    model: Scores
    baseline: Scores
    log_loss_difference: dict[str, float]
    draws: int
    model_bins: list[Bin]
    baseline_bins: list[Bin]

    def as_json(self) -> dict[str, object]:
        """As the artifact's metadata and metrics.json hold it."""
        return {
            "seasons": self.seasons,
            "model": asdict(self.model),
            "baseline": asdict(self.baseline),
            "bootstrap": {"draws": self.draws, "log_loss_difference": self.log_loss_difference},
            "calibration": {
                "model": [asdict(b) for b in self.model_bins],
                "baseline": [asdict(b) for b in self.baseline_bins],
            },
        }


def evaluate(items: Sequence[Predicted], seed: int) -> Evaluation:
    """Compare model and baseline on out-of-sample predictions. Raises ValueError when there are none."""
    if not items:
        raise ValueError("there is no completed race to evaluate")
    difference = log_losses(items, model_win) - log_losses(items, baseline_win)
    return Evaluation(
        sorted({item.race.race.season for item in items}),
        scores(items, model_win),
        scores(items, baseline_win),
        bootstrap(difference, seed),
        DRAWS,
        calibration_bins(items, model_win),
        calibration_bins(items, baseline_win),
    )
