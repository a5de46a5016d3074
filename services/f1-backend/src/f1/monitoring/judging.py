"""Stored forecasts against results: running log-loss beside every baseline, and what it proves."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from f1.history import POST_QUALIFYING, PRE_WEEKEND, Stage
from f1.model.baseline import LABELS, names
from f1.monitoring.sequential import Difference, better_than_all, difference, worse_than_any

STAGES: tuple[Stage, ...] = (POST_QUALIFYING, PRE_WEEKEND)
WHEN: dict[Stage, str] = {POST_QUALIFYING: "after qualifying", PRE_WEEKEND: "before qualifying"}
Verdict = Literal["no-data", "undecided", "worse", "better"]


@dataclass(frozen=True)
class Made:
    """The last forecast that was stored before a race, and the result as it is known now.

    `win` and `baselines` are win probabilities by driver; `winner` is None while the results name none.
    `version` is that of the results: higher than 1 after a correction.
    """

    season: int
    round: int
    race: str
    date: dt.date
    stage: Stage
    model_version: str
    generated_at: dt.datetime
    win: Mapping[str, float]
    baselines: Mapping[str, Mapping[str, float]]
    winner: str | None
    version: int


@dataclass(frozen=True)
class BaselineLoss:
    """A baseline over the same races as the model; `log_loss` is the mean of `races` races, the model's over
    the same ones is `model_log_loss`."""

    name: str
    label: str
    races: int
    log_loss: float
    model_log_loss: float


@dataclass(frozen=True)
class ScoredRace:
    """A race's forecast beside its winner. `evidence` is that of all races so far that the model is worse."""

    season: int
    round: int
    race: str
    date: str
    model_version: str
    results_version: int
    winner: str
    winner_probability: float
    log_loss: float
    baselines: dict[str, float]
    evidence: float


@dataclass(frozen=True)
class LeftOut:
    """A race with a forecast that cannot be judged, and why."""

    season: int
    round: int
    race: str
    because: str


@dataclass(frozen=True)
class StageReport:
    """The forecasts of a stage since the last finding that brought another model.

    `evidence` and `evidence_better` are e-values: of being worse than any baseline (the largest so far, which
    stays), of being better than all of them (now). From `alarm_at` on it is a finding.
    """

    stage: Stage
    verdict: Verdict
    since: dt.datetime | None
    alarm_at: float
    evidence: float
    evidence_better: float
    log_loss: float | None
    best: str | None
    baselines: list[BaselineLoss]
    races: list[ScoredRace]
    left_out: list[LeftOut]

    @property
    def alarm(self) -> ScoredRace | None:
        """The race after which the evidence was enough."""
        return next((race for race in self.races if race.evidence >= self.alarm_at), None)

    def finding(self) -> str:
        """What was found, in a sentence; for a verdict of "worse"."""
        worst = max(self.baselines, key=lambda each: each.model_log_loss - each.log_loss)
        alarm = self.alarm or self.races[-1]
        return (
            f"{WHEN[self.stage]}, the model's log-loss over {worst.races} races is "
            f"{worst.model_log_loss - worst.log_loss:.3f} a race above that of {worst.label}; "
            f"the evidence reached {self.alarm_at:.0f} with {alarm.season}/{alarm.round} {alarm.race}"
        )


def threshold(alpha: float) -> float:
    """The evidence that is a finding: false in at most one of 1/alpha streams, over both stages together."""
    return len(STAGES) / alpha


def judge(made: Sequence[Made], stage: Stage, since: dt.datetime | None, alpha: float) -> StageReport:
    """Judge the forecasts of a stage that were made after `since`, in the order of the races.

    `alpha` is the largest chance of a false finding over both stages, over all races and baselines.
    """
    stream = sorted(
        (each for each in made if each.stage == stage and (since is None or each.generated_at > since)),
        key=lambda each: (each.date, each.season, each.round),
    )
    judged = [each for each in stream if _obstacle(each) is None]
    pairs = {name: [_difference(each, name) for each in judged] for name in names(stage)}
    worse = worse_than_any(list(pairs.values()))
    better = better_than_all(list(pairs.values()))
    alarm_at = threshold(alpha)
    races = [_scored(each, float(worse[i])) for i, each in enumerate(judged)]
    baselines = [found for name in pairs if (found := _baseline(races, name)) is not None]
    complete = [each for each in baselines if each.races == len(races)]
    highest = float(worse.max(initial=1.0))
    now = float(better[-1]) if len(races) else 1.0
    verdict: Verdict = "undecided"
    if not races:
        verdict = "no-data"
    elif highest >= alarm_at:
        verdict = "worse"
    elif now >= alarm_at:
        verdict = "better"
    return StageReport(
        stage,
        verdict,
        since,
        alarm_at,
        highest,
        now,
        sum(race.log_loss for race in races) / len(races) if races else None,
        min(complete, key=lambda each: each.log_loss).name if complete else None,
        baselines,
        races,
        [
            LeftOut(each.season, each.round, each.race, because)
            for each in stream
            if (because := _obstacle(each)) is not None
        ],
    )


def _obstacle(made: Made) -> str | None:
    if made.winner is None:
        return "its results name no winner"
    if made.winner not in made.win:
        return f"{made.winner} won, who was in no forecast of it"
    return None


def _difference(made: Made, name: str) -> Difference | None:
    known = made.baselines.get(name)
    if known is None or made.winner is None:
        return None
    return difference(made.win, known, made.winner)


def _scored(made: Made, evidence: float) -> ScoredRace:
    winner = made.winner or ""
    return ScoredRace(
        made.season,
        made.round,
        made.race,
        made.date.isoformat(),
        made.model_version,
        made.version,
        winner,
        made.win[winner],
        _log_loss(made.win[winner]),
        {
            name: _log_loss(made.baselines[name][winner])
            for name in names(made.stage)
            if name in made.baselines
        },
        evidence,
    )


def _log_loss(probability: float) -> float:
    return max(-math.log(max(probability, 1e-15)), 0.0)


def _baseline(races: Sequence[ScoredRace], name: str) -> BaselineLoss | None:
    known = [race for race in races if name in race.baselines]
    if not known:
        return None
    return BaselineLoss(
        name,
        LABELS[name],
        len(known),
        sum(race.baselines[name] for race in known) / len(known),
        sum(race.log_loss for race in known) / len(known),
    )
