"""The ensemble of one stage: a Plackett–Luce prior, XGBoost boosted on it, a Random Forest, and their
calibration.

1. Prior: utilities linear in six figures (grid, gap to pole, ELO and form of driver and car), fitted by
penalised
   maximum likelihood. With a few hundred races this is what can be known for certain; it knows the grid.
2. XGBoost starts from the prior and boosts the same race likelihood (its objective here), so that it can only
   move a probability where many races agree.
3. Random Forest votes on its own, without the prior.
4. Calibration: P(win) ∝ exp(temperature · (share · log P_xgb + (1 − share) · log P_forest)), and the two
discounts
   of the podium formula; all four fitted on walk-forward predictions, none on data that a member was fitted
   on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
import xgboost as xgb
from scipy.optimize import minimize
from sklearn.ensemble import RandomForestClassifier

from f1.features import GAP_CAP, columns
from f1.history import POST_QUALIFYING, Stage
from f1.model.races import Floats, Ints, Places, podiums, softmax

SEED = 20100314
HALF_LIFE_SEASONS = 6.0
PRIOR_PENALTY = 20.0
ROUNDS = 40
BOOSTER: dict[str, Any] = {
    "max_depth": 3,
    "eta": 0.05,
    "min_child_weight": 0.2,
    "reg_lambda": 5.0,
    "subsample": 0.8,
    "colsample_bytree": 0.6,
    "num_parallel_tree": 3,
    "base_score": 0.0,
    "disable_default_eval_metric": 1,
    "tree_method": "hist",
    # One thread: sums in another order would make another model of the same data.
    "nthread": 1,
    "seed": SEED,
}
TREES = 200
FOREST: dict[str, Any] = {
    "n_estimators": TREES,
    "min_samples_leaf": 25,
    "max_features": 0.4,
    "random_state": SEED,
}
# What every driver's share of forest votes is raised by, so that "never seen" is not "impossible".
FOREST_FLOOR = 0.002

_PRIOR_FEATURES = ("driver_elo", "constructor_elo", "driver_form", "constructor_form")
_PRIOR_GRID = ("grid", "session_gap")
_PRIOR_PACE = ("driver_pace", "constructor_pace")


def prior_columns(stage: Stage) -> tuple[str, ...]:
    """Features of the prior: qualifying when it has been run, the usual pace in its place before."""
    return (_PRIOR_GRID if stage == POST_QUALIFYING else _PRIOR_PACE) + _PRIOR_FEATURES


def prior_design(features: pd.DataFrame, stage: Stage) -> Floats:
    """The prior's inputs: places and gaps on a logarithmic scale, unknown ones as the worst or the
    average."""
    parts = []
    for name in prior_columns(stage):
        values = features[name].to_numpy(dtype=np.float64)
        if name == "grid":
            values = np.log(np.nan_to_num(values, nan=float(len(values))))
        elif name in {"session_gap", "driver_pace", "constructor_pace"}:
            values = np.log1p(3.0 * np.nan_to_num(values, nan=GAP_CAP))
        parts.append(values)
    return np.column_stack(parts)


@dataclass(frozen=True)
class Prior:
    """A linear Plackett–Luce model on standardised inputs."""

    mean: Floats
    scale: Floats
    coefficients: Floats

    @classmethod
    def fit(cls, design: Floats, places: Places) -> Prior:
        """Penalised maximum likelihood; the penalty is on standardised coefficients."""
        mean, scale = design.mean(axis=0), design.std(axis=0) + 1e-9
        inputs = (design - mean) / scale

        def loss(beta: Floats) -> tuple[float, Floats]:
            value, gradient, _ = places.gradient(inputs @ beta)
            return (
                value + 0.5 * PRIOR_PENALTY * float(beta @ beta),
                inputs.T @ gradient + PRIOR_PENALTY * beta,
            )

        found = minimize(loss, np.zeros(design.shape[1]), jac=True, method="L-BFGS-B")
        return cls(mean, scale, np.asarray(found.x, dtype=np.float64))

    def parts(self, design: Floats) -> Floats:
        """What each input adds to the utility, one column an input."""
        return np.asarray((design - self.mean) / self.scale * self.coefficients, dtype=np.float64)


@dataclass(frozen=True)
class Calibration:
    """How the members' probabilities become the model's."""

    share: float = 0.65
    temperature: float = 1.0
    second: float = 0.9
    third: float = 0.8

    def win(self, boosted: Floats, forest: Floats, group: Ints) -> Floats:
        """Win probabilities from those of the two members."""
        pooled = self.share * np.log(boosted) + (1.0 - self.share) * np.log(forest)
        return softmax(self.temperature * pooled, group)

    @classmethod
    def fit(cls, boosted: Floats, forest: Floats, places: Places) -> Calibration:
        """From out-of-sample predictions of the members. Penalised towards the defaults, bounded to sane
        values."""
        start = cls()
        won = places.position == 1
        first = np.array([start.share, start.temperature])

        def win_loss(x: Floats) -> float:
            p = cls(float(x[0]), float(x[1])).win(boosted, forest, places.group)
            shrink = 20.0 * (x[0] - start.share) ** 2 + 20.0 * (x[1] - start.temperature) ** 2
            return float(-np.sum(places.weight[won] * np.log(p[won])) + shrink)

        share, temperature = minimize(win_loss, first, method="L-BFGS-B", bounds=[(0.3, 0.9), (0.6, 1.6)]).x
        p = cls(float(share), float(temperature)).win(boosted, forest, places.group)
        on_podium = (places.position <= 3).astype(np.float64)

        def podium_loss(x: Floats) -> float:
            q = np.clip(podiums(p, places.group, float(x[0]), float(x[1])), 1e-6, 1.0 - 1e-6)
            shrink = 20.0 * (x[0] - start.second) ** 2 + 20.0 * (x[1] - start.third) ** 2
            terms = on_podium * np.log(q) + (1.0 - on_podium) * np.log(1.0 - q)
            return float(-np.sum(places.weight * terms) + shrink)

        second, third = minimize(
            podium_loss,
            np.array([start.second, start.third]),
            method="L-BFGS-B",
            bounds=[(0.4, 1.2), (0.3, 1.2)],
        ).x
        return cls(float(share), float(temperature), float(second), float(third))

    def as_json(self) -> dict[str, float]:
        """The four numbers."""
        return asdict(self)


@dataclass(frozen=True)
class Members:
    """The fitted prior, booster and forest of a stage."""

    stage: Stage
    prior: Prior
    booster: xgb.Booster
    forest: RandomForestClassifier

    @classmethod
    def fit(cls, stage: Stage, features: pd.DataFrame, places: Places, jobs: int = 2) -> Members:
        """Fit on the races given. `jobs` threads are used for the forest; the result does not depend on
        them."""
        design = prior_design(features, stage)
        prior = Prior.fit(design, places)
        inputs = features[columns(stage)].to_numpy(dtype=np.float64)
        margin = prior.parts(design).sum(axis=1)

        def objective(utility: Floats, _: xgb.DMatrix) -> tuple[Floats, Floats]:
            return places.gradient(utility.astype(np.float64))[1:]

        matrix = xgb.DMatrix(inputs, base_margin=margin)
        booster = xgb.train(BOOSTER, matrix, ROUNDS, obj=objective)
        forest = RandomForestClassifier(**FOREST, n_jobs=jobs)
        outcome = np.where(places.position == 1, 2, np.where(places.position <= 3, 1, 0))
        forest.fit(inputs, outcome, sample_weight=places.weight)
        forest.set_params(n_jobs=1)
        return cls(stage, prior, booster, forest)

    def predict(self, features: pd.DataFrame, group: Ints) -> tuple[Floats, Floats]:
        """Win probabilities of the boosted prior and of the forest."""
        inputs = features[columns(self.stage)].to_numpy(dtype=np.float64)
        utility = self.prior.parts(prior_design(features, self.stage)).sum(axis=1)
        utility = utility + self.booster.inplace_predict(inputs, predict_type="margin").astype(np.float64)
        votes = self.forest.predict_proba(inputs)[:, list(self.forest.classes_).index(2)] + FOREST_FLOOR
        return softmax(utility, group), votes / np.bincount(group, votes)[group]

    def contributions(self, features: pd.DataFrame) -> pd.DataFrame:
        """What each feature adds to a driver's log-odds in one race, against the mean of the field.

        The prior's terms plus the exact TreeSHAP values of XGBoost. A driver's row sums to the boosted
        utility
        minus the field's mean utility.
        """
        names = columns(self.stage)
        inputs = features[names].to_numpy(dtype=np.float64)
        trees = self.booster.predict(xgb.DMatrix(inputs), pred_contribs=True)[:, :-1]
        table = pd.DataFrame(trees.astype(np.float64), index=features.index, columns=names)
        parts = self.prior.parts(prior_design(features, self.stage))
        for column, name in enumerate(prior_columns(self.stage)):
            table[name] = table[name] + parts[:, column]
        return table - table.mean()

    def importances(self, features: pd.DataFrame) -> dict[str, float]:
        """Share of each feature in the mean absolute contribution over stacked races; sums to 1."""
        size = self.contributions(features).abs().mean()
        return {str(name): float(value) for name, value in (size / size.sum()).items()}


@dataclass(frozen=True)
class StageModel:
    """Members and calibration of a stage: what serves."""

    members: Members
    calibration: Calibration

    def predict(self, features: pd.DataFrame, group: Ints | None = None) -> tuple[Floats, Floats]:
        """Win and podium probabilities; without `group` the rows are one race."""
        of = np.zeros(len(features), dtype=np.int64) if group is None else group
        win = self.calibration.win(*self.members.predict(features, of), of)
        return win, podiums(win, of, self.calibration.second, self.calibration.third)


def recency(seasons: Sequence[int] | Ints, now: int) -> Floats:
    """Weight of a race by its age: halves with every `HALF_LIFE_SEASONS` before `now`."""
    age = np.maximum(now - np.asarray(seasons, dtype=np.float64), 0.0)
    return np.asarray(0.5 ** (age / HALF_LIFE_SEASONS), dtype=np.float64)
