"""Whether the inputs of the races that a model has not seen differ from those before, beyond what is usual.

The inputs of a race are the feature table's rows after qualifying. Rows of one driver, or of races that
follow each other, are anything but independent, so that a usual test of two samples of rows finds drift in
every ordinary season. Here a window of races is one observation:

1. The distance of a feature is the Kolmogorov–Smirnov statistic between the races that the model has not seen
   (the newest `WINDOW` of them at most) and the `REFERENCE` races before them. A value that is not known
   counts as one below all others, so that missing data is a distance too.
2. The same distance of every earlier window of the same length, one behind the other over `DEPTH` races, says
   what is usual.
3. The chance that one more window is as far off as the present one is Student's t of a prediction from those,
   with distances on the probit scale, adjusted for the number of features by Holm's method.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd
from scipy import stats

from f1.features import LABELS, FeatureState
from f1.history import POST_QUALIFYING, RaceRecord
from f1.model.races import Floats

WINDOW = 10
REFERENCE = 40
DEPTH = 200
# With fewer races that the model has not seen, or fewer windows to compare with, nothing can be said.
LEAST_RACES = 4
LEAST_WINDOWS = 8
ALPHA = 0.05
# Distances of a feature that hardly varies still vary by this much on the probit scale.
_LEAST_SPREAD = 0.05
_UNKNOWN = -1e9

Verdict = Literal["no-model", "too-little-data", "no-drift", "drift"]


@dataclass(frozen=True)
class Correction:
    """A later version of a race's results or qualifying. `withdrawn`: the source took all rows back."""

    season: int
    round: int
    race: str
    date: dt.date
    kind: str
    version: int
    source: str
    withdrawn: bool
    recorded_at: dt.datetime


@dataclass(frozen=True)
class FeatureDrift:
    """How far a feature is off, from 0 to 1, how far it usually is, and the chance of that (Holm)."""

    name: str
    label: str
    distance: float
    usual: float
    chance: float
    drifted: bool


@dataclass(frozen=True)
class DriftReport:
    """What the inputs of the races after `cutoff` say; `because` says why they say nothing.

    `corrections` are those of the races compared; `windows` is how many earlier ones say what is usual.
    """

    verdict: Verdict
    because: str | None = None
    cutoff: dt.date | None = None
    races: int = 0
    rows: int = 0
    reference: int = 0
    windows: int = 0
    features: list[FeatureDrift] = field(default_factory=list)
    corrections: list[Correction] = field(default_factory=list)

    def finding(self) -> str:
        """What was found, in a sentence; for a verdict of "drift"."""
        drifted = ", ".join(each.label for each in self.features if each.drifted)
        text = (
            f"inputs of the {self.races} races that the model has not seen differ from those of the "
            f"{self.reference} before by more than is usual: {drifted}"
        )
        count = len(self.corrections)
        return f"{text}; {count} corrections of data fall into these races" if count else text


def drift(
    history: Sequence[RaceRecord], cutoff: dt.date | None, corrections: Sequence[Correction]
) -> DriftReport:
    """Compare the inputs of the races after `cutoff`, the date of the last race that the model has seen.

    None stands for no model. `history` is in order, and may hold races to come.
    """
    if cutoff is None:
        return DriftReport("no-model", "no model serves")
    done = [record for record in history if record.completed]
    seen = sum(record.race.date <= cutoff for record in done)
    length = min(len(done) - seen, WINDOW)
    if length < LEAST_RACES:
        because = f"{LEAST_RACES} races that the model has not seen are needed, there are {length}"
        return DriftReport("too-little-data", because, cutoff, length)
    start = len(done) - length
    first = max(0, start - DEPTH)
    earlier = range(start - length, first + REFERENCE - 1, -length)
    if len(earlier) < LEAST_WINDOWS:
        because = (
            f"{REFERENCE + LEAST_WINDOWS * length} races before these {length} are needed to know what is "
            f"usual, there are {start}"
        )
        return DriftReport("too-little-data", because, cutoff, length)
    tables = _inputs(history)[first:]
    now = _distances(tables, start - first, length)
    usual = np.array([_distances(tables, index - first, length) for index in earlier])
    chances = holm(_chances(now, usual))
    features = [
        FeatureDrift(
            str(name),
            LABELS[str(name)],
            float(now[i]),
            float(np.median(usual[:, i])),
            float(chances[i]),
            bool(chances[i] <= ALPHA),
        )
        for i, name in enumerate(tables[0].columns)
    ]
    compared = {record.race.key for record in done[start - REFERENCE :]}
    return DriftReport(
        "drift" if any(each.drifted for each in features) else "no-drift",
        None,
        cutoff,
        length,
        sum(len(table) for table in tables[start - first :]),
        REFERENCE,
        len(earlier),
        sorted(features, key=lambda each: (each.chance, -each.distance)),
        [each for each in corrections if (each.season, each.round) in compared],
    )


def holm(chances: Floats) -> Floats:
    """Chances of several tests, adjusted so that the smallest may be taken at its word (Holm 1979)."""
    order = np.argsort(chances, kind="stable")
    steps = chances[order] * np.arange(len(chances), 0, -1)
    adjusted = np.empty(len(chances))
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted


def _inputs(history: Sequence[RaceRecord]) -> list[pd.DataFrame]:
    """The features of each completed race, as known before it."""
    state = FeatureState()
    tables = []
    for record in history:
        if record.completed:
            tables.append(state.features(record.race, record.entries, POST_QUALIFYING))
        if record.run:
            state.update(record)
    return tables


def _distances(tables: Sequence[pd.DataFrame], start: int, length: int) -> Floats:
    """Of each feature, between the races from `start` on and those before them."""
    own = pd.concat(tables[start : start + length]).fillna(_UNKNOWN).to_numpy(dtype=np.float64)
    before = pd.concat(tables[start - REFERENCE : start]).fillna(_UNKNOWN).to_numpy(dtype=np.float64)
    return np.array(
        [stats.ks_2samp(own[:, i], before[:, i], method="asymp").statistic for i in range(own.shape[1])],
        dtype=np.float64,
    )


def _chances(now: Floats, usual: Floats) -> Floats:
    """The chance of each distance to come out as large as now, by those that are usual."""
    scaled, before = (stats.norm.ppf(np.clip(each, 0.001, 0.999)) for each in (now, usual))
    count = len(before)
    spread = np.maximum(before.std(axis=0, ddof=1), _LEAST_SPREAD) * np.sqrt(1.0 + 1.0 / count)
    return np.asarray(stats.t.sf((scaled - before.mean(axis=0)) / spread, count - 1), dtype=np.float64)
