"""Whether a candidate may take the champion's place: decisions over what was measured, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from f1.history import POST_QUALIFYING, Stage
from f1.model.experts import SEED
from f1.model.races import Bools, Floats
from f1.model.scoring import bootstrap

Outcome = Literal["better", "unproven", "refused"]

FLIPS = 2000
# Differences smaller than this are none: both say the same of a race.
_SAME = 1e-9


@dataclass(frozen=True)
class Limits:
    """What a candidate has to keep.

    races: fewest races of which both say something different, below which nothing is proven
    doubt: chance at which a difference counts as luck, in each direction
    behind: log-loss by which the first model of all may be behind the best baseline
    miscalibration: standard errors by which its favourites may win more or less often than it says
    latency: milliseconds of processor time that 95 of 100 predictions of a race may take
    memory: MiB that a process which serves it may have
    """

    races: int = 8
    doubt: float = 0.025
    behind: float = 0.02
    miscalibration: float = 3.0
    latency: float = 250.0
    memory: float = 768.0


@dataclass(frozen=True)
class Served:
    """What a process of its own measured of the model, in the image that serves.

    `golden` says what is wrong with its golden predictions there; None when they are what they were.
    """

    machine: str
    latency: float
    memory: float
    golden: str | None = None


@dataclass(frozen=True)
class Evidence:
    """What was measured of a candidate.

    `against` holds the log-loss of the candidate minus the champion's, by stage and race, over the same races
    out of sample; it is None when there is no champion. `baseline` is the best simple one.
    """

    against: Mapping[Stage, Floats] | None
    baseline: str
    against_baseline: Floats
    favourites: Floats
    favourites_won: Bools
    leaks: tuple[str, ...]
    served: Served


@dataclass(frozen=True)
class Compared:
    """A paired comparison: mean difference, its 95 % interval, and the chance of one as large by luck."""

    races: int
    different: int
    mean: float
    low: float
    high: float
    luck: float

    def __str__(self) -> str:
        return (
            f"log-loss {self.mean:+.4f} ({self.low:+.4f} to {self.high:+.4f}) over {self.races} races, "
            f"{self.different} of them predicted differently"
        )


@dataclass(frozen=True)
class Verdict:
    """`checks` holds each check in a sentence, by its name."""

    outcome: Outcome
    reason: str
    checks: Mapping[str, str] = field(default_factory=dict)


def compare(difference: Floats) -> Compared:
    """Compare by paired differences: their bootstrap interval, and how often a mean as far from 0 comes about
    when the sign of each difference is left to chance. The second holds with few races as well."""
    if not len(difference):
        return Compared(0, 0, 0.0, 0.0, 0.0, 1.0)
    interval = bootstrap(difference, SEED)
    signs = np.random.default_rng(SEED).choice([-1.0, 1.0], size=(FLIPS, len(difference)))
    by_chance = np.abs(signs @ difference) / len(difference)
    # One-sided, hence half of those on either side.
    larger = float(np.sum(by_chance >= abs(interval["mean"]) - 1e-12))
    luck = min((larger / 2 + 1) / (FLIPS + 1), 1.0)
    different = int(np.sum(np.abs(difference) > _SAME))
    return Compared(len(difference), different, interval["mean"], interval["low"], interval["high"], luck)


def clearly(compared: Compared, limits: Limits) -> Literal["better", "worse"] | None:
    """Which of the two it proves, if any."""
    if compared.different < limits.races or compared.luck > limits.doubt:
        return None
    if compared.high < 0:
        return "better"
    return "worse" if compared.low > 0 else None


def decide(evidence: Evidence, limits: Limits = Limits()) -> Verdict:
    """The verdict: `refused` for a candidate that fails a check or is clearly worse, `better` for one that is
    clearly better after qualifying, `unproven` otherwise: then the champion stays."""
    faults: list[str] = []
    checks = {
        name: _checked(faults, *check)
        for name, check in {
            "golden predictions": _golden(evidence.served),
            "leaks": _leaks(evidence.leaks),
            "calibration": _calibration(evidence, limits),
            "latency": _within(
                "processor time of a prediction", evidence.served.latency, limits.latency, "ms"
            ),
            "memory": _within("memory of a process", evidence.served.memory, limits.memory, "MiB"),
        }.items()
    }
    baseline = compare(evidence.against_baseline)
    checks["baseline"] = f"against {evidence.baseline}, the best simple one: {baseline}"
    if evidence.against is None:
        if baseline.mean > limits.behind:
            faults.append(f"{checks['baseline']}; at most {limits.behind:+g} is allowed")
        if faults:
            return Verdict("refused", "; ".join(faults), checks)
        return Verdict("better", f"there is no champion yet; {checks['baseline']}", checks)
    by_stage = {stage: compare(difference) for stage, difference in evidence.against.items()}
    for stage, compared in by_stage.items():
        checks[f"champion, {stage}"] = str(compared)
        if clearly(compared, limits) == "worse":
            faults.append(f"clearly worse than the champion, {stage}: {compared}")
    if faults:
        return Verdict("refused", "; ".join(faults), checks)
    after = by_stage[POST_QUALIFYING]
    if clearly(after, limits) == "better":
        return Verdict("better", f"clearly better than the champion: {after}", checks)
    few = f", fewer than {limits.races}" if after.different < limits.races else ""
    return Verdict("unproven", f"too little evidence, so the champion stays: {after}{few}", checks)


Check = tuple[bool, str]


def _checked(faults: list[str], ok: bool, text: str) -> str:
    if not ok:
        faults.append(text)
    return text


def _golden(served: Served) -> Check:
    if served.golden is not None:
        return False, f"golden predictions on {served.machine}: {served.golden}"
    return True, f"as they were, in a process of their own on {served.machine}"


def _leaks(leaks: tuple[str, ...]) -> Check:
    if leaks:
        return False, f"features know what comes later: {'; '.join(leaks)}"
    return True, "features are equal when all that comes later is cut off"


def _calibration(evidence: Evidence, limits: Limits) -> Check:
    said, won = evidence.favourites, evidence.favourites_won
    error = float(np.sqrt(np.sum(said * (1.0 - said))))
    off = float(np.sum(won) - np.sum(said)) / max(error, 1e-9)
    text = (
        f"favourites win {np.mean(won):.1%} of {len(won)} races, {np.mean(said):.1%} were said: "
        f"{off:+.1f} standard errors, ±{limits.miscalibration:g} are allowed"
    )
    return abs(off) <= limits.miscalibration, text


def _within(what: str, value: float, limit: float, unit: str) -> Check:
    return value <= limit, f"{what}: {value:.1f} {unit}, at most {limit:g} {unit} are allowed"
