"""The model of one stage: experts, the mixture over them, and what it says of a race with its reasons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from f1.features import FIELD, columns
from f1.history import Stage
from f1.model.experts import PRIOR, Expert, Followers, fit_experts, win_of
from f1.model.mixture import Mixture, log_mean
from f1.model.races import Floats, Ints, Places, podiums

HALF_LIFE_SEASONS = 6.0


@dataclass(frozen=True)
class StageModel:
    """What serves. `mixture` has the weights after the last race that training knew."""

    stage: Stage
    experts: dict[str, Expert]
    followers: Followers
    mixture: Mixture

    @classmethod
    def fit(
        cls,
        stage: Stage,
        features: pd.DataFrame,
        places: Places,
        mixture: Mixture | None = None,
        jobs: int = 2,
    ) -> StageModel:
        """Fit the experts on the races given. Without `mixture` the weights are those at the start."""
        experts, followers = fit_experts(stage, features, places, jobs)
        return cls(stage, experts, followers, mixture or Mixture.start(PRIOR[stage]))

    def with_mixture(self, mixture: Mixture) -> StageModel:
        """The same experts under other weights."""
        return replace(self, mixture=mixture)

    def opinions(self, features: pd.DataFrame, group: Ints) -> dict[str, Floats]:
        """Win probabilities of each expert."""
        return {name: win_of(self.experts[name], features, group) for name in self.mixture.weights}

    def predict(self, features: pd.DataFrame, group: Ints | None = None) -> tuple[Floats, Floats]:
        """Win and podium probabilities; without `group` the rows are one race."""
        of = np.zeros(len(features), dtype=np.int64) if group is None else group
        win = self.mixture.win(self.opinions(features, of))
        strength = self.followers.strength(features, of)
        return win, podiums(win, strength, strength, of)

    def contributions(self, features: pd.DataFrame) -> pd.DataFrame:
        """Why each driver's chance in one race is what it is: a column a feature, and `FIELD`.

        A row sums to ln(P(win) · n), the logarithm of how many times an even share of the n drivers the
        chance is. Exact, in two steps without remainder:

        1. P − 1/n = Σ wₖ (pₖ − 1/n) over the experts. With L the logarithmic mean, expert k's part in
           ln(P · n) is therefore qₖ · ln(pₖ · n) with qₖ = wₖ L(pₖ, 1/n) / L(P, 1/n).
        2. ln(pₖ · n) is the sum of the expert's parts against the mean of the field, minus the logarithm of
           the mean of exp(that sum) over the field: how strong the field is, which is no feature's of the
           driver and goes to `FIELD`.
        """
        drivers = len(features)
        opinions = self.opinions(features, np.zeros(drivers, dtype=np.int64))
        overall = log_mean(self.mixture.win(opinions), 1.0 / drivers)
        table = pd.DataFrame(0.0, index=features.index, columns=[*columns(self.stage), FIELD])
        for name, weight in self.mixture.weights.items():
            share = weight * log_mean(opinions[name], 1.0 / drivers) / overall
            parts = self.experts[name].parts(features)
            parts = parts - parts.mean()
            table[parts.columns] = table[parts.columns] + parts.to_numpy() * share[:, None]
            field = np.log(np.mean(np.exp(parts.to_numpy().sum(axis=1))))
            table[FIELD] = table[FIELD] - share * field
        return table

    def importances(self, features: pd.DataFrame, group: Ints) -> dict[str, float]:
        """Share of each feature in the mean absolute contribution over stacked races; sums to 1."""
        races = [self.contributions(features[group == race]) for race in np.unique(group)]
        size = pd.concat(races)[columns(self.stage)].abs().mean()
        return {str(name): float(value) for name, value in (size / size.sum()).items()}


def recency(seasons: Sequence[int] | Ints, now: int) -> Floats:
    """Weight of a race by its age: halves with every `HALF_LIFE_SEASONS` before `now`."""
    age = np.maximum(now - np.asarray(seasons, dtype=np.float64), 0.0)
    return np.asarray(0.5 ** (age / HALF_LIFE_SEASONS), dtype=np.float64)
