"""The grid-only baseline: how often each starting place won in earlier seasons."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from f1.model.races import Bools, Floats, Ints

SLOTS = 30


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

    def win(self, grid: Floats, group: Ints) -> Floats:
        """Win probabilities; they sum to 1 in each race."""
        rates = self.rates[_slots(grid)]
        return np.asarray(rates / np.bincount(group, rates)[group], dtype=np.float64)


def _slots(grid: Floats) -> Ints:
    return np.clip(np.nan_to_num(grid, nan=SLOTS), 1, SLOTS).astype(np.int64)
