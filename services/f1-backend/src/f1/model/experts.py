"""The experts of a stage, from the simplest to the most elaborate. Each is fitted on past races alone.

After qualifying: `grid`, how often each starting place won; `gap`, a logit on starting place, pole and gap to
pole; `points`, a logit on starting place, finishes and points. Before it: `points` without the starting
place. At both stages: `form`, a logit on steady figures; `recent`, one on figures that follow fast;
`boosted`, XGBoost on top of `form`, boosting the same race likelihood; `forest`, a Random Forest.

Every expert gives utilities (log-strengths) and the parts that each feature has in them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd
import xgboost as xgb
from sklearn.ensemble import RandomForestClassifier

from f1.features import columns
from f1.history import POST_QUALIFYING, PRE_WEEKEND, Stage
from f1.model.baseline import FORM, GridBaseline
from f1.model.logit import Logit, feature_of
from f1.model.mixture import log_mean
from f1.model.races import Floats, Importance, Ints, Places, softmax

# All numbers below were chosen on the seasons up to 2022 alone, by walking forward over 2014 to 2022.
SEED = 20100314
ROUNDS = 10
BOOSTER: dict[str, Any] = {
    "max_depth": 3,
    "eta": 0.05,
    "min_child_weight": 1.0,
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
# Trees see too few winners: the next two places count by half.
BOOSTED_PLACES: Importance = (1.0, 0.5, 0.5)
FOREST: dict[str, Any] = {
    "n_estimators": 100,
    "min_samples_leaf": 25,
    "max_features": 0.4,
    "random_state": SEED,
}
# What every driver's share of forest votes is raised by, so that "never seen" is not "impossible".
FOREST_FLOOR = 0.002


@dataclass(frozen=True)
class Spec:
    """A logit expert: its inputs and penalty, and whether old seasons count less in its fit."""

    names: tuple[str, ...]
    penalty: float
    recency: bool = True


_QUALIFYING = ("log_grid", "pole", "session_gap")
LOGITS: dict[Stage, dict[str, Spec]] = {
    POST_QUALIFYING: {
        "gap": Spec(_QUALIFYING, 2.0),
        "points": Spec(("log_grid", *FORM), 1.0, recency=False),
        "form": Spec(
            (
                *_QUALIFYING,
                "driver_elo",
                "teammate_gap",
                "constructor_race_pace",
                "constructor_elo",
                "driver_pace",
            ),
            8.0,
        ),
        "recent": Spec(
            (
                *_QUALIFYING,
                "driver_elo_fast",
                "driver_pace_long",
                "teammate_gap",
                "constructor_elo_fast",
                "experience",
            ),
            8.0,
        ),
    },
    PRE_WEEKEND: {
        "points": Spec(FORM, 1.0, recency=False),
        "form": Spec(
            (
                "driver_pace",
                "driver_form",
                "season_points",
                "teammate_gap",
                "constructor_elo",
                "constructor_pace",
                "season_wins",
            ),
            4.0,
        ),
        "recent": Spec(
            (
                "driver_elo_fast",
                "driver_pace_recent",
                "season_points",
                "driver_pace_long",
                "teammate_gap",
                "constructor_pace_recent",
                "constructor_elo_fast",
            ),
            4.0,
        ),
    },
}
# Weights at the start: most to the experts that know most, enough for the simple ones to come back.
PRIOR: dict[Stage, dict[str, float]] = {
    POST_QUALIFYING: {
        "grid": 0.05,
        "gap": 0.05,
        "points": 0.10,
        "form": 0.22,
        "recent": 0.22,
        "boosted": 0.24,
        "forest": 0.12,
    },
    PRE_WEEKEND: {"points": 0.10, "form": 0.25, "recent": 0.30, "boosted": 0.25, "forest": 0.10},
}
LABELS = {
    "grid": "How often the starting place won",
    "gap": "Starting place and qualifying gap",
    "points": "Finishes and points",
    "form": "Steady form",
    "recent": "Form that follows fast",
    "boosted": "Steady form with XGBoost",
    "forest": "Random Forest",
}


class Expert(Protocol):
    """What an expert says of stacked races."""

    def utility(self, features: pd.DataFrame) -> Floats:
        """Log-strength of each driver."""
        ...

    def parts(self, features: pd.DataFrame) -> pd.DataFrame:
        """What each feature adds to the utility. A row sums to it, but for a number common to all rows."""
        ...


@dataclass(frozen=True)
class GridExpert:
    """The grid-only baseline."""

    baseline: GridBaseline

    def utility(self, features: pd.DataFrame) -> Floats:
        """The logarithm of the starting place's rate."""
        grid = features["grid"].to_numpy(dtype=np.float64)
        return np.log(self.baseline.rate_of(grid))

    def parts(self, features: pd.DataFrame) -> pd.DataFrame:
        """All of it is the starting place's."""
        return pd.DataFrame({"grid": self.utility(features)}, index=features.index)


@dataclass(frozen=True)
class LogitExpert:
    """A conditional logit."""

    logit: Logit

    def utility(self, features: pd.DataFrame) -> Floats:
        """The linear predictor."""
        return np.asarray(self.logit.parts(features).sum(axis=1), dtype=np.float64)

    def parts(self, features: pd.DataFrame) -> pd.DataFrame:
        """Its terms, those of inputs made of one feature together."""
        names = [feature_of(name) for name in self.logit.names]
        table = pd.DataFrame(self.logit.parts(features), index=features.index, columns=names)
        return table.T.groupby(level=0, sort=False).sum().T


@dataclass(frozen=True)
class BoostedExpert:
    """XGBoost on top of a logit."""

    stage: Stage
    start: Logit
    booster: xgb.Booster

    @classmethod
    def fit(cls, stage: Stage, start: Logit, features: pd.DataFrame, places: Places) -> BoostedExpert:
        """Boost the likelihood of the first three places, from `start` on."""
        inputs = features[columns(stage)].to_numpy(dtype=np.float64)

        def objective(utility: Floats, _: xgb.DMatrix) -> tuple[Floats, Floats]:
            return places.gradient(utility.astype(np.float64), BOOSTED_PLACES)[1:]

        matrix = xgb.DMatrix(inputs, base_margin=start.parts(features).sum(axis=1))
        return cls(stage, start, xgb.train(BOOSTER, matrix, ROUNDS, obj=objective))

    def utility(self, features: pd.DataFrame) -> Floats:
        """The logit's utility plus that of the trees."""
        inputs = features[columns(self.stage)].to_numpy(dtype=np.float64)
        trees = self.booster.inplace_predict(inputs, predict_type="margin").astype(np.float64)
        return np.asarray(self.start.parts(features).sum(axis=1) + trees, dtype=np.float64)

    def parts(self, features: pd.DataFrame) -> pd.DataFrame:
        """The logit's terms plus the exact TreeSHAP values of the trees."""
        names = columns(self.stage)
        matrix = xgb.DMatrix(features[names].to_numpy(dtype=np.float64))
        trees = self.booster.predict(matrix, pred_contribs=True)[:, :-1].astype(np.float64)
        table = pd.DataFrame(trees, index=features.index, columns=names)
        return table.add(LogitExpert(self.start).parts(features), fill_value=0.0)[names]


@dataclass(frozen=True)
class ForestExpert:
    """Votes of a Random Forest for "wins", as shares of the field's."""

    stage: Stage
    forest: RandomForestClassifier

    @classmethod
    def fit(cls, stage: Stage, features: pd.DataFrame, places: Places, jobs: int) -> ForestExpert:
        """`jobs` threads are used; the result does not depend on them."""
        forest = RandomForestClassifier(**FOREST, n_jobs=jobs)
        outcome = np.where(places.position == 1, 2, np.where(places.position <= 3, 1, 0))
        inputs = features[columns(stage)].to_numpy(dtype=np.float64)
        forest.fit(inputs, outcome, sample_weight=places.weight)
        forest.set_params(n_jobs=1)
        return cls(stage, forest)

    def _votes(self, features: pd.DataFrame) -> Floats:
        inputs = features[columns(self.stage)].to_numpy(dtype=np.float64)
        votes = self.forest.predict_proba(inputs)[:, self._winner]
        return np.asarray(votes + FOREST_FLOOR, dtype=np.float64)

    @property
    def _winner(self) -> int:
        return list(self.forest.classes_).index(2)

    def utility(self, features: pd.DataFrame) -> Floats:
        """The logarithm of the votes."""
        return np.log(self._votes(features))

    def parts(self, features: pd.DataFrame) -> pd.DataFrame:
        """Along a row's path through a tree, each split moves the vote from its node's to its child's.

        The sum of the moves of a feature, in the mean over all trees, is that feature's part in the votes
        (Saabas, "Interpreting random forests", 2014); the logarithmic mean makes it one in their logarithm.
        """
        names = columns(self.stage)
        trees = [tree.tree_ for tree in self.forest.estimators_]
        inputs = features[names].to_numpy(dtype=np.float64)
        paths, starts = self.forest.decision_path(inputs)
        paths.sort_indices()
        value = np.concatenate([tree.value[:, 0, self._winner] for tree in trees])
        split = np.concatenate([tree.feature for tree in trees])
        row = np.repeat(np.arange(len(features)), np.diff(paths.indptr))
        node, root = paths.indices, np.isin(paths.indices, starts[:-1])
        # A child comes after its parent in a tree's numbering, so that neighbours in a path are a step.
        step = np.flatnonzero(~root[1:]) + 1
        moves = np.zeros((len(features), len(names)))
        np.add.at(moves, (row[step], split[node[step - 1]]), value[node[step]] - value[node[step - 1]])
        moves /= len(trees)
        base = FOREST_FLOOR + float(np.mean(value[starts[:-1]]))
        scale = 1.0 / log_mean(base + moves.sum(axis=1), base)
        return pd.DataFrame(moves * scale[:, None], index=features.index, columns=names)


@dataclass(frozen=True)
class Followers:
    """Who is second and third when another has won: the mean of two logits fitted on these places alone."""

    form: Logit
    recent: Logit

    IMPORTANCE = (0.0, 1.0, 1.0)

    def strength(self, features: pd.DataFrame, group: Ints) -> Floats:
        """Strengths in the contest for the second and the third place; they sum to 1 in each race."""
        return 0.5 * self.form.win(features, group) + 0.5 * self.recent.win(features, group)


def fit_experts(
    stage: Stage, features: pd.DataFrame, places: Places, jobs: int
) -> tuple[dict[str, Expert], Followers]:
    """All experts of a stage and the followers, from stacked races whose weights say how old they are."""
    even = Places.of(places.position, places.group)
    logits = {
        name: Logit.fit(spec.names, features, places if spec.recency else even, spec.penalty)
        for name, spec in LOGITS[stage].items()
    }
    experts: dict[str, Expert] = {name: LogitExpert(logit) for name, logit in logits.items()}
    if stage == POST_QUALIFYING:
        grid = features["grid"].to_numpy(dtype=np.float64)
        experts["grid"] = GridExpert(GridBaseline.fit(grid, places.position == 1))
    experts["boosted"] = BoostedExpert.fit(stage, logits["form"], features, places)
    experts["forest"] = ForestExpert.fit(stage, features, places, jobs)
    steady, fast = (
        Logit.fit(spec.names, features, places, spec.penalty, Followers.IMPORTANCE)
        for spec in (LOGITS[stage]["form"], LOGITS[stage]["recent"])
    )
    return experts, Followers(steady, fast)


def win_of(expert: Expert, features: pd.DataFrame, group: Ints) -> Floats:
    """Win probabilities of an expert; they sum to 1 in each race."""
    return softmax(expert.utility(features), group)
