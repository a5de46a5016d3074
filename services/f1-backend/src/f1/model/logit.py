"""Conditional logit: the chance of winning is a softmax, over the field, of utilities linear in a few inputs.

McFadden, "Conditional logit analysis of qualitative choice behavior", 1974. With weights for the second and
third place it is the Plackett–Luce model of the first places. Both the baselines and the simple experts of
the model are of this kind.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.optimize import minimize

from f1.features import GAP_CAP
from f1.model.races import WINNER, Floats, Importance, Ints, Places, softmax

# Inputs that are made of a feature: name → feature.
DERIVED = {"log_grid": "grid", "pole": "grid"}
GAPS = frozenset(
    {
        "session_gap",
        "driver_pace",
        "constructor_pace",
        "driver_pace_recent",
        "constructor_pace_recent",
        "driver_pace_long",
        "constructor_race_pace",
    }
)
SHARES = frozenset({"season_points", "season_wins"})
# Rates and shares enter as logarithms; this is added so that none is log 0.
SHARE_FLOOR = 0.02
# Who starts from an unknown place counts as starting from here, however many rows are stacked.
UNKNOWN_GRID = 20.0


def feature_of(name: str) -> str:
    """The feature that an input is made of."""
    return DERIVED.get(name, name)


def design(features: pd.DataFrame, names: Sequence[str]) -> Floats:
    """The inputs, one column a name: places, gaps and shares on logarithmic scales, unknown values as the
    worst."""
    return np.column_stack(
        [_input(name, features[feature_of(name)].to_numpy(dtype=np.float64)) for name in names]
    )


def _input(name: str, values: Floats) -> Floats:
    if name == "log_grid":
        return np.log(np.nan_to_num(values, nan=UNKNOWN_GRID))
    if name == "pole":
        return np.asarray(values == 1.0, dtype=np.float64)
    if name in GAPS:
        return np.log1p(3.0 * np.nan_to_num(values, nan=GAP_CAP))
    if name in SHARES:
        return np.log(values + SHARE_FLOOR)
    return np.nan_to_num(values)


@dataclass(frozen=True)
class Logit:
    """A conditional logit on standardised inputs."""

    names: tuple[str, ...]
    mean: Floats
    scale: Floats
    coefficients: Floats

    @classmethod
    def fit(
        cls,
        names: tuple[str, ...],
        features: pd.DataFrame,
        places: Places,
        penalty: float,
        importance: Importance = WINNER,
    ) -> Logit:
        """Penalised maximum likelihood; `penalty` times half the squared standardised coefficients is
        added. `importance` weighs the choice of the first, second and third place."""
        inputs = design(features, names)
        mean, scale = inputs.mean(axis=0), inputs.std(axis=0) + 1e-9
        inputs = (inputs - mean) / scale

        def loss(beta: Floats) -> tuple[float, Floats]:
            value, gradient, _ = places.gradient(inputs @ beta, importance)
            return value + 0.5 * penalty * float(beta @ beta), inputs.T @ gradient + penalty * beta

        found = minimize(loss, np.zeros(len(names)), jac=True, method="L-BFGS-B")
        return cls(names, mean, scale, np.asarray(found.x, dtype=np.float64))

    def parts(self, features: pd.DataFrame) -> Floats:
        """What each input adds to the utility, one column an input."""
        return np.asarray((design(features, self.names) - self.mean) / self.scale * self.coefficients)

    def win(self, features: pd.DataFrame, group: Ints) -> Floats:
        """Win probabilities; they sum to 1 in each race."""
        return softmax(self.parts(features).sum(axis=1), group)
