"""Scores of predictions, and how far two ways of predicting differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from f1.history import RaceRecord
from f1.model.baseline import Chances
from f1.model.races import Bools, Floats

BINS = 10
DRAWS = 2000
MODEL = "model"
GRID = "grid"


@dataclass(frozen=True)
class Judged:
    """A race's result beside what was predicted by each way of predicting, the model among them."""

    race: RaceRecord
    drivers: tuple[str, ...]
    by: Mapping[str, Chances]

    def won(self) -> Bools:
        """Who won, in the order of `drivers`."""
        return np.array([driver == self.race.winner for driver in self.drivers])

    def stood(self) -> Bools:
        """Who was on the podium."""
        return np.array([driver in self.race.podium for driver in self.drivers])


@dataclass(frozen=True)
class Favourite:
    """How sure a way of predicting is of its favourites on average, and how often they win."""

    predicted: float
    observed: float


@dataclass(frozen=True)
class Scores:
    """Scores over races; see `schemas.Metrics` for what each means."""

    races: int
    winner_top1: float
    podium_precision: float
    winner_log_loss: float
    podium_log_loss: float
    brier: float
    ece: float
    favourite: Favourite


@dataclass(frozen=True)
class Bin:
    """One bin of a calibration plot."""

    bin_low: float
    bin_high: float
    predicted: float
    observed: float
    count: int


def log_losses(items: Sequence[Judged], name: str) -> Floats:
    """−ln(probability given to the winner) of each race."""
    return np.array([-np.log(max(float(item.by[name].win[item.won()][0]), 1e-15)) for item in items])


def podium_hits(item: Judged, name: str) -> int:
    """How many of the three most likely to be on the podium were."""
    likely = np.argsort(-item.by[name].podium, kind="stable")[:3]
    return int(item.stood()[likely].sum())


def _podium_log_loss(item: Judged, name: str) -> float:
    p = np.clip(item.by[name].podium, 1e-9, 1.0 - 1e-9)
    return float(-np.mean(np.where(item.stood(), np.log(p), np.log(1.0 - p))))


def calibration_bins(items: Sequence[Judged], name: str) -> list[Bin]:
    """Predicted and observed win rates in ten equal bins; empty bins are left out."""
    p = np.concatenate([item.by[name].win for item in items])
    won = np.concatenate([item.won() for item in items])
    return _bins(p, won)


def favourite_bins(items: Sequence[Judged], name: str) -> list[Bin]:
    """The same of favourites alone, one a race: where a wrong probability is seen."""
    best = [int(np.argmax(item.by[name].win)) for item in items]
    p = np.array([item.by[name].win[i] for item, i in zip(items, best, strict=True)])
    won = np.array([item.won()[i] for item, i in zip(items, best, strict=True)])
    return _bins(p, won)


def _bins(p: Floats, won: Bools) -> list[Bin]:
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


def scores(items: Sequence[Judged], name: str) -> Scores:
    """All scores of one way of predicting."""
    bins = calibration_bins(items, name)
    total = sum(b.count for b in bins)
    win = [item.by[name].win for item in items]
    hits = [bool(item.won()[int(np.argmax(p))]) for item, p in zip(items, win, strict=True)]
    return Scores(
        len(items),
        float(np.mean(hits)),
        float(np.mean([podium_hits(item, name) / 3.0 for item in items])),
        float(log_losses(items, name).mean()),
        float(np.mean([_podium_log_loss(item, name) for item in items])),
        float(np.mean([np.sum((p - item.won()) ** 2) for item, p in zip(items, win, strict=True)])),
        sum(b.count / total * abs(b.predicted - b.observed) for b in bins),
        Favourite(float(np.mean([p.max() for p in win])), float(np.mean(hits))),
    )


def bootstrap(difference: Floats, seed: int, draws: int = DRAWS) -> dict[str, float]:
    """Mean of paired differences with its percentile interval (2.5, 50, 97.5 %), races drawn with
    replacement."""
    picks = np.random.default_rng(seed).integers(0, len(difference), size=(draws, len(difference)))
    low, mid, high = np.percentile(difference[picks].mean(axis=1), [2.5, 50.0, 97.5])
    return {"low": float(low), "mid": float(mid), "high": float(high), "mean": float(difference.mean())}


@dataclass(frozen=True)
class Evaluation:
    """The model and every baseline over the same races.

    `scores` and `differences` (log-loss of the winner, model minus the other) are by the name of the way of
    predicting; `seasons` holds the scores of each season alone.
    """

    seasons: dict[int, dict[str, Scores]]
    scores: dict[str, Scores]
    differences: dict[str, dict[str, float]]
    draws: int
    bins: dict[str, list[Bin]]
    favourites: dict[str, list[Bin]]

    @property
    def model(self) -> Scores:
        """The model's scores."""
        return self.scores[MODEL]

    @property
    def baseline(self) -> Scores:
        """Those of the grid frequencies, with which served models are compared."""
        return self.scores[GRID]

    @property
    def log_loss_difference(self) -> dict[str, float]:
        """Model minus grid frequencies."""
        return self.differences[GRID]

    def as_json(self) -> dict[str, Any]:
        """As the artifact's metadata and metrics.json hold it."""
        return {
            "seasons": sorted(self.seasons),
            "model": asdict(self.model),
            "baseline": asdict(self.baseline),
            "bootstrap": {"draws": self.draws, "log_loss_difference": self.log_loss_difference},
            "calibration": {
                "model": [asdict(b) for b in self.bins[MODEL]],
                "baseline": [asdict(b) for b in self.bins[GRID]],
                "favourites": [asdict(b) for b in self.favourites[MODEL]],
            },
            "baselines": [
                {"name": name, "scores": asdict(of), "log_loss_difference": self.differences[name]}
                for name, of in self.scores.items()
                if name != MODEL
            ],
            "by_season": [
                {"season": season, "scores": [{"name": name, "scores": asdict(s)} for name, s in of.items()]}
                for season, of in sorted(self.seasons.items())
            ],
        }


def evaluate(items: Sequence[Judged], seed: int) -> Evaluation:
    """Compare all ways of predicting on out-of-sample predictions. Raises ValueError when there are none."""
    if not items:
        raise ValueError("there is no completed race to evaluate")
    names = list(items[0].by)
    model = log_losses(items, MODEL)
    seasons = sorted({item.race.race.season for item in items})
    return Evaluation(
        {
            season: {
                name: scores([item for item in items if item.race.race.season == season], name)
                for name in names
            }
            for season in seasons
        },
        {name: scores(items, name) for name in names},
        {name: bootstrap(model - log_losses(items, name), seed) for name in names if name != MODEL},
        DRAWS,
        {name: calibration_bins(items, name) for name in names},
        {name: favourite_bins(items, name) for name in names},
    )
