"""What needs no learning machine: the baselines that stand beside every figure of the model.

After qualifying: how often each starting place won, and logits on the logarithm of the starting place,
alone, with pole and the gap to pole, and with recent finishes. Before qualifying: who won last, who leads the
championship, and recent finishes alone. Each is fitted on the seasons before the one that it predicts, like
the model.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from f1.history import POST_QUALIFYING, Stage
from f1.model.logit import Logit
from f1.model.races import Bools, Floats, Ints, Places, discounted, podiums

SLOTS = 30
# The baselines have a handful of coefficients: hardly any penalty is needed.
PENALTY = 1.0
# Discounts of the podium formula, as published for horse races (Lo and Bacon-Shone 2008, rounded).
SECOND, THIRD = 0.8, 0.65

FORM = ("driver_form", "constructor_form", "season_points")
LOGITS: dict[Stage, dict[str, tuple[str, ...]]] = {
    "post-qualifying": {
        "log-grid": ("log_grid",),
        "log-grid-gap": ("log_grid", "pole", "session_gap"),
        "log-grid-form": ("log_grid", *FORM),
    },
    "pre-weekend": {"form": FORM},
}
# Those that point at one driver, known without a qualifying.
POINTERS = ("last-winner", "leader")
LABELS: dict[str, str] = {
    "grid": "how often the starting place won",
    "log-grid": "logit on log grid",
    "log-grid-gap": "logit on log grid, pole and qualifying gap",
    "log-grid-form": "logit on log grid and form",
    "last-winner": "who won the last race",
    "leader": "who leads the championship",
    "form": "logit on form",
}


def names(stage: Stage) -> list[str]:
    """The baselines that know no more than a forecast of that stage."""
    return ["grid", *LOGITS[stage]] if stage == POST_QUALIFYING else [*LOGITS[stage], *POINTERS]


@dataclass(frozen=True)
class Chances:
    """Win and podium probabilities of one or more races, stacked."""

    win: Floats
    podium: Floats


@dataclass(frozen=True)
class GridBaseline:
    """Win rates by starting place, Laplace-smoothed (one win in `SMOOTHING` starts added to each place)."""

    rates: Floats

    SMOOTHING = 20.0

    @classmethod
    def fit(cls, grid: Floats, won: Bools) -> GridBaseline:
        """From the starts of the seasons before the one to predict; NaN counts as last."""
        slots = _slots(grid)
        starts = np.bincount(slots, minlength=SLOTS + 1)
        wins = np.bincount(slots, won, minlength=SLOTS + 1)
        return cls((wins + 1.0) / (starts + cls.SMOOTHING))

    def rate_of(self, grid: Floats) -> Floats:
        """The rate of each starting place."""
        return np.asarray(self.rates[_slots(grid)], dtype=np.float64)

    def win(self, grid: Floats, group: Ints) -> Floats:
        """Win probabilities; they sum to 1 in each race."""
        rates = self.rate_of(grid)
        return np.asarray(rates / np.bincount(group, rates)[group], dtype=np.float64)


@dataclass(frozen=True)
class PointerBaseline:
    """One driver is pointed at, as the last winner; he gets the rate at which such a one won, the rest
    share."""

    rate: float

    @classmethod
    def fit(cls, pointed: Bools, won: Bools) -> PointerBaseline:
        """From rows of drivers; add-one smoothing."""
        return cls((float((pointed & won).sum()) + 1.0) / (float(pointed.sum()) + 2.0))

    def win(self, pointed: Bools, group: Ints) -> Floats:
        """Win probabilities; a race in which nobody is pointed at is even."""
        drivers = np.bincount(group)[group]
        others = drivers - 1
        known = np.bincount(group, pointed)[group] > 0
        odds = np.where(pointed, self.rate, (1.0 - self.rate) / others)
        return np.where(known, odds, 1.0 / drivers)


@dataclass(frozen=True)
class Baselines:
    """All baselines of a stage, fitted."""

    grid: GridBaseline
    logits: dict[str, Logit]
    pointers: dict[str, PointerBaseline]

    @classmethod
    def fit(
        cls, stage: Stage, features: pd.DataFrame, grid: Floats, places: Places, pointed: dict[str, Bools]
    ) -> Baselines:
        """From stacked races. `pointed` marks the last winner and the championship leader among the rows."""
        won = places.position == 1
        logits = {name: Logit.fit(names, features, places, PENALTY) for name, names in LOGITS[stage].items()}
        pointers = (
            {}
            if stage == POST_QUALIFYING
            else {name: PointerBaseline.fit(rows, won) for name, rows in pointed.items()}
        )
        return cls(GridBaseline.fit(grid, won), logits, pointers)

    def predict(
        self, features: pd.DataFrame, grid: Floats, group: Ints, pointed: dict[str, Bools]
    ) -> dict[str, Chances]:
        """Chances by the name of the baseline."""
        win: dict[str, Floats] = {"grid": self.grid.win(grid, group)}
        win |= {name: logit.win(features, group) for name, logit in self.logits.items()}
        win |= {name: pointer.win(pointed[name], group) for name, pointer in self.pointers.items()}
        return {name: Chances(p, podiums(p, *discounted(p, SECOND, THIRD), group)) for name, p in win.items()}


def _slots(grid: Floats) -> Ints:
    return np.clip(np.nan_to_num(grid, nan=SLOTS), 1, SLOTS).astype(np.int64)
