"""From a history to a model with its out-of-sample predictions and its scores."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from f1.features import training_table
from f1.history import POST_QUALIFYING, PRE_WEEKEND, RaceRecord, Stage
from f1.model.ensemble import StageModel
from f1.model.evaluation import (
    LEAST_SEASONS,
    Predicted,
    Progress,
    Table,
    WalkForward,
    blocks,
    fit,
    quiet,
    walk_forward,
)
from f1.model.experts import SEED
from f1.model.scoring import Evaluation, evaluate

EVALUATED_SEASONS = 2


@dataclass(frozen=True)
class Model:
    """A model for both stages, with what is known about it."""

    stages: dict[Stage, StageModel]
    evaluation: Evaluation
    importances: dict[str, float]
    data_cutoff: dt.date
    data_fingerprint: str
    demo: bool = False


@dataclass(frozen=True)
class Trained:
    """A model and the predictions it would have made, each by experts that knew only earlier races."""

    model: Model
    out_of_sample: list[Predicted]


def usable(history: Sequence[RaceRecord], since: int | None, until: int | None = None) -> Table:
    """The races run in the seasons since … until, with features.

    Raises ValueError when there are too few seasons to predict one from those before it.
    """
    chosen = [
        record
        for record in history
        if record.run
        and (since is None or record.race.season >= since)
        and (until is None or record.race.season <= until)
    ]
    seasons = sorted({record.race.season for record in chosen if record.completed})
    if len(seasons) <= LEAST_SEASONS:
        raise ValueError(
            f"{LEAST_SEASONS + 1} seasons with results are needed, found {len(seasons)}"
            + (f" ({seasons[0]} to {seasons[-1]})" if seasons else "")
        )
    return Table.of(training_table(chosen))


def undecided(history: Sequence[RaceRecord]) -> list[str]:
    """Races that were run and have no winner, by name: nothing is learned from who won them."""
    return [
        f"{record.race.season}/{record.race.round} {record.race.name}"
        for record in history
        if record.run and not record.completed
    ]


def fingerprint(races: Sequence[RaceRecord]) -> str:
    """SHA-256 over the races that a model was trained on: another one after any correction.

    The weather is left out: no feature knows it, and it comes in days later.
    """
    known = [replace(record, race=replace(record.race, rain_mm=None)) for record in races]
    return hashlib.sha256(repr(known).encode()).hexdigest()


def learned(history: Sequence[RaceRecord], since: int | None) -> list[RaceRecord]:
    """The races that `train` learns from: those whose fingerprint a model bears."""
    return [r for r in history if r.completed and (since is None or r.race.season >= since)]


def first_predicted(table: Table) -> int:
    """The first season that has enough seasons before it."""
    return sorted({record.race.season for record in table.races})[LEAST_SEASONS]


def train(
    history: Sequence[RaceRecord],
    *,
    since: int | None = None,
    demo: bool = False,
    progress: Progress = quiet,
    jobs: int = 2,
) -> Trained:
    """Walk forward over the history, then fit both stages on all of it.

    The evaluation in the result is that of the last seasons, out of sample. Raises ValueError for too
    little data.
    """
    table = usable(history, since)
    last = table.races[-1].race.season
    walks: dict[Stage, WalkForward] = {}
    stages: dict[Stage, StageModel] = {}
    for stage in (PRE_WEEKEND, POST_QUALIFYING):
        pieces = blocks(table, first_predicted(table), last, None)
        walks[stage] = walk_forward(table, stage, pieces, progress, jobs)
        stages[stage] = fit(table, stage, walks[stage].mixture, jobs)
    predicted = walks[POST_QUALIFYING].predicted
    recent = [item for item in predicted if item.race.race.season > last - EVALUATED_SEASONS]
    # Importances of the last seasons: what matters now, and quick to compute.
    rows = table.season > last - EVALUATED_SEASONS
    importances = stages[POST_QUALIFYING].importances(
        table.features[POST_QUALIFYING][rows], table.group[rows]
    )
    model = Model(
        stages,
        evaluate(recent, SEED),
        importances,
        table.races[-1].race.date,
        fingerprint(table.races),
        demo,
    )
    return Trained(model, walks[PRE_WEEKEND].predicted + predicted)


@dataclass(frozen=True)
class Assessment:
    """A walk-forward evaluation of both stages over the seasons asked for."""

    first: int
    last: int
    history: list[RaceRecord]
    items: list[Predicted]
    evaluation: Evaluation
    before_qualifying: Evaluation


def assess(
    history: Sequence[RaceRecord],
    *,
    since: int | None,
    first: int,
    last: int,
    every: int | None = None,
    progress: Progress = quiet,
    jobs: int = 2,
) -> Assessment:
    """Evaluate the seasons first … last; the weights of the experts start with the first season possible.

    Experts are fitted again for each season, or every `every` races. Raises ValueError when a season asked
    for has no races or too few seasons before it.
    """
    table = usable(history, since, last)
    earliest = first_predicted(table)
    present = {record.race.season for record in table.races}
    if first < earliest or last not in present:
        raise ValueError(
            f"seasons from {earliest} to {max(present)} can be evaluated, asked for {first} to {last}"
        )
    pieces = blocks(table, earliest, first - 1, None) + blocks(table, first, last, every)
    items = {
        stage: [
            item
            for item in walk_forward(table, stage, pieces, progress, jobs).predicted
            if item.race.race.season >= first
        ]
        for stage in (PRE_WEEKEND, POST_QUALIFYING)
    }
    return Assessment(
        first,
        last,
        table.races,
        items[POST_QUALIFYING],
        evaluate(items[POST_QUALIFYING], SEED),
        evaluate(items[PRE_WEEKEND], SEED),
    )
