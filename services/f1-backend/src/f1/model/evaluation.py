"""Walk-forward evaluation: every race is predicted by a model fitted only on races before it."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from f1.features import TrainingTable, replay, slots, training_table
from f1.history import POST_QUALIFYING, RaceRecord, Stage
from f1.model.baseline import Baselines, Chances, names
from f1.model.ensemble import StageModel, recency
from f1.model.experts import PRIOR
from f1.model.mixture import Mixture
from f1.model.races import Bools, Floats, Ints, Places
from f1.model.scoring import GRID, MODEL, Judged

# A model needs this many seasons before the first one that it predicts.
LEAST_SEASONS = 3
NOT_CLASSIFIED = 99


@dataclass(frozen=True)
class Table:
    """The stacked races of a history, as arrays."""

    races: list[RaceRecord]
    features: dict[Stage, pd.DataFrame]
    group: Ints
    position: Ints
    season: Ints
    pointed: dict[str, Bools]

    @classmethod
    def of(cls, table: TrainingTable) -> Table:
        """From the features of a history. Raises ValueError when there is no completed race."""
        position = []
        for record in table.races:
            places = {o.driver: o.position for o in record.outcomes}
            position += [places[entry.driver] or NOT_CLASSIFIED for entry in record.entries]
        seasons = np.array([record.race.season for record in table.races], dtype=np.int64)
        return cls(
            table.races,
            table.features,
            table.group,
            np.array(position, dtype=np.int64),
            seasons[table.group],
            _pointed(table.races),
        )

    def rows(self, races: Bools) -> Bools:
        """Rows of the races chosen."""
        return np.asarray(races[self.group])

    def places(self, rows: Bools, now: int) -> Places:
        """Positions of the rows with recency weights as of season `now`."""
        return Places(self.position[rows], _dense(self.group[rows]), recency(self.season[rows], now))


def _pointed(races: Sequence[RaceRecord]) -> dict[str, Bools]:
    """Rows of the driver who won the race before, and of who leads the championship before the race.

    Before the first race of a season that is last season's champion. A race to come may be the last one.
    """
    points: dict[str, float] = defaultdict(float)
    winner = leader = ""
    last_winner: list[bool] = []
    leads: list[bool] = []
    season = 0
    for record in races:
        if record.race.season != season:
            season = record.race.season
            points.clear()
        last_winner += [entry.driver == winner for entry in record.entries]
        leads += [entry.driver == leader for entry in record.entries]
        for outcome in record.outcomes:
            points[outcome.driver] += outcome.points
        if record.completed:
            winner, leader = record.winner, max(sorted(points), key=points.__getitem__)
    return {"last-winner": np.array(last_winner), "leader": np.array(leads)}


def _dense(group: Ints) -> Ints:
    return np.asarray(np.unique(group, return_inverse=True)[1], dtype=np.int64)


@dataclass(frozen=True)
class Predicted(Judged):
    """Out-of-sample predictions of one race at one stage, rows in the order of its entries."""

    stage: Stage
    features: pd.DataFrame
    contributions: pd.DataFrame
    data_cutoff: dt.date

    @property
    def win(self) -> Floats:
        """The model's win probabilities."""
        return self.by[MODEL].win

    @property
    def podium(self) -> Floats:
        """The model's podium probabilities."""
        return self.by[MODEL].podium

    @property
    def baseline(self) -> Floats:
        """Win probabilities from the grid alone."""
        return self.by[GRID].win

    def order(self) -> list[str]:
        """Drivers, the most likely winner first."""
        return [str(self.features.index[i]) for i in np.argsort(-self.win, kind="stable")]


@dataclass(frozen=True)
class WalkForward:
    """All out-of-sample predictions of a stage, and the weights of the experts after the last race."""

    predicted: list[Predicted]
    mixture: Mixture


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
    """Predict the pieces in order, each with experts fitted on all races before it.

    The weights of the experts go on from race to race: each race is predicted with those that the races
    before it have left.
    """
    features, grid = table.features[stage], table.features[POST_QUALIFYING]["grid"].to_numpy(dtype=np.float64)
    predicted: list[Predicted] = []
    mixture = Mixture.start(PRIOR[stage])
    for piece in pieces:
        first = int(np.flatnonzero(piece)[0])
        year = table.races[first].race.season
        before = table.rows(np.arange(len(table.races)) < first)
        rows = table.rows(piece)
        model = StageModel.fit(stage, features[before], table.places(before, year), mixture, jobs)
        cutoff = table.races[first - 1].race.date
        baselines = _baselines(table, stage, grid, before & (table.season < year), rows)
        group = _dense(table.group[rows])
        for index, record in enumerate(np.array(table.races, dtype=object)[piece]):
            of = group == index
            own = features[rows][of]
            model = model.with_mixture(mixture)
            ways = {MODEL: Chances(*model.predict(own))}
            ways |= {name: Chances(way.win[of], way.podium[of]) for name, way in baselines.items()}
            drivers = tuple(str(driver) for driver in own.index)
            predicted.append(Predicted(record, drivers, ways, stage, own, model.contributions(own), cutoff))
            winner = drivers.index(record.winner)
            opinions = model.opinions(own, np.zeros(len(own), dtype=np.int64))
            mixture = mixture.after({name: float(p[winner]) for name, p in opinions.items()})
        progress(f"{stage}: {year} predicted from {int(before.sum())} starts")
    return WalkForward(predicted, mixture)


def _baselines(table: Table, stage: Stage, grid: Floats, earlier: Bools, rows: Bools) -> dict[str, Chances]:
    """Chances by the baselines, fitted on `earlier`, for `rows`."""
    fitted = _fitted(table, stage, grid, earlier)
    marks = {name: marks[rows] for name, marks in table.pointed.items()}
    return fitted.predict(table.features[stage][rows], grid[rows], _dense(table.group[rows]), marks)


def _fitted(table: Table, stage: Stage, grid: Floats, earlier: Bools) -> Baselines:
    return Baselines.fit(
        stage,
        table.features[stage][earlier],
        grid[earlier],
        Places.of(table.position[earlier], _dense(table.group[earlier])),
        {name: marks[earlier] for name, marks in table.pointed.items()},
    )


def baselines_of(
    history: Sequence[RaceRecord], coming: RaceRecord, stage: Stage
) -> dict[str, dict[str, float]]:
    """Win probabilities by driver for a race to come, by the name of the baseline; fitted on the seasons
    before it, as in a walk-forward run. Empty when there is no such season."""
    known = [record for record in history if record.run and record.race.date < coming.race.date]
    if not any(record.completed and record.race.season < coming.race.season for record in known):
        return {}
    table = Table.of(training_table(known))
    grid = table.features[POST_QUALIFYING]["grid"].to_numpy(dtype=np.float64)
    fitted = _fitted(table, stage, grid, np.asarray(table.season < coming.race.season))
    own = replay(known).features(coming.race, coming.entries, stage)
    start = len(table.group)
    marks = {name: marks[start:] for name, marks in _pointed([*table.races, coming]).items()}
    places = np.array(slots(coming.entries), dtype=np.float64)
    chances = fitted.predict(own, places, np.zeros(len(own), dtype=np.int64), marks)
    return {
        name: {entry.driver: float(p) for entry, p in zip(coming.entries, chances[name].win, strict=True)}
        for name in names(stage)
    }


def fit(table: Table, stage: Stage, mixture: Mixture, jobs: int = 2) -> StageModel:
    """The model of a stage from all races, with the weights that walking forward has left."""
    everything = np.ones(len(table.group), dtype=bool)
    places = table.places(everything, int(table.season[-1]))
    return StageModel.fit(stage, table.features[stage], places, mixture, jobs)
