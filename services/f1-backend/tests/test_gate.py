from dataclasses import replace

import numpy as np
import pytest

from f1.history import POST_QUALIFYING, PRE_WEEKEND
from f1.model.races import Floats
from f1.registry.gate import Evidence, Served, Limits, clearly, compare, decide

LIMITS = Limits()
GENERATOR = np.random.default_rng(11)
NOISE = GENERATOR.normal(0.0, 0.2, 60)
NOISE -= NOISE.mean()
SERVED = Served("x86_64", latency=20.0, memory=400.0)
GOOD = Evidence(
    against={POST_QUALIFYING: NOISE - 0.2, PRE_WEEKEND: NOISE},
    baseline="grid",
    against_baseline=NOISE - 0.1,
    favourites=np.full(60, 0.5),
    favourites_won=np.arange(60) % 2 == 0,
    leaks=(),
    served=SERVED,
)


def against(after: Floats, before: Floats = NOISE) -> Evidence:
    return replace(GOOD, against={POST_QUALIFYING: after, PRE_WEEKEND: before})


def test_a_clearly_better_candidate_is_better() -> None:
    verdict = decide(GOOD)
    assert verdict.outcome == "better"
    assert verdict.reason.startswith("clearly better than the champion: log-loss -0.2000 (-0.2")
    assert set(verdict.checks) == {
        "golden predictions",
        "leaks",
        "calibration",
        "latency",
        "memory",
        "baseline",
        "champion, post-qualifying",
        "champion, pre-weekend",
    }


@pytest.mark.parametrize(
    ("difference", "says"),
    [
        (NOISE, "over 60 races, 60 of them predicted differently"),
        # Seven races are too few, however clear they are.
        (np.where(np.arange(60) < 7, -1.0, 0.0), "7 of them predicted differently, fewer than 8"),
        (np.zeros(60), "0 of them predicted differently, fewer than 8"),
        (np.array([]), "over 0 races"),
    ],
)
def test_with_too_little_evidence_the_champion_stays(difference: Floats, says: str) -> None:
    verdict = decide(against(difference))
    assert verdict.outcome == "unproven"
    assert verdict.reason.startswith("too little evidence, so the champion stays: ")
    assert says in verdict.reason


def test_one_lucky_race_proves_nothing() -> None:
    lucky = np.zeros(60)
    lucky[:9] = [-30.0, *[0.001] * 8]
    assert decide(against(lucky)).outcome == "unproven"


@pytest.mark.parametrize("evidence", [against(NOISE + 0.2), against(NOISE - 0.2, NOISE + 0.2)])
def test_a_clearly_worse_candidate_is_refused_at_either_stage(evidence: Evidence) -> None:
    verdict = decide(evidence)
    assert verdict.outcome == "refused"
    assert verdict.reason.startswith("clearly worse than the champion, ")


@pytest.mark.parametrize(
    ("evidence", "reason"),
    [
        (
            replace(GOOD, leaks=("2024/3 Australia, post-qualifying",)),
            "features know what comes later: 2024/3",
        ),
        (
            replace(GOOD, served=replace(SERVED, golden="off by 0.1")),
            "golden predictions on x86_64: off by 0.1",
        ),
        (replace(GOOD, served=replace(SERVED, latency=250.1)), "at most 250 ms are allowed"),
        (replace(GOOD, served=replace(SERVED, memory=768.1)), "at most 768 MiB are allowed"),
        (replace(GOOD, favourites=np.full(60, 0.75)), "-4.5 standard errors, ±3 are allowed"),
        (replace(GOOD, favourites=np.full(60, 0.25)), "+4.5 standard errors, ±3 are allowed"),
    ],
)
def test_a_candidate_that_fails_a_check_is_refused_whatever_its_scores(
    evidence: Evidence, reason: str
) -> None:
    verdict = decide(evidence)
    assert verdict.outcome == "refused"
    assert reason in verdict.reason


def test_the_first_model_is_held_against_the_best_baseline() -> None:
    first = replace(GOOD, against=None)
    assert decide(first).outcome == "better"
    assert decide(first).reason.startswith("there is no champion yet; against grid, the best simple one: ")
    assert decide(replace(first, against_baseline=NOISE + 0.019)).outcome == "better"
    assert decide(replace(first, against_baseline=NOISE + 0.021)).outcome == "refused"


def luck(races: int, candidates: int, seed: int) -> int:
    """How many candidates are called better that are not: they and the champion know the strength of drivers
    equally well, each with errors of its own."""
    generator = np.random.default_rng(seed)
    promoted = 0
    for _ in range(candidates):
        strength = generator.normal(0.0, 1.5, (races, 20))
        chances = softmax(strength)
        winners = (chances.cumsum(axis=1) > generator.random((races, 1))).argmax(axis=1)
        losses = [
            -np.log(softmax(strength + generator.normal(0.0, 0.5, strength.shape))[np.arange(races), winners])
            for _ in range(2)
        ]
        promoted += clearly(compare(losses[0] - losses[1]), LIMITS) == "better"
    return promoted


def softmax(utility: Floats) -> Floats:
    powers = np.exp(utility)
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


@pytest.mark.parametrize("races", [8, 24, 100])
def test_of_1000_candidates_that_are_no_better_at_most_5_percent_are_promoted(races: int) -> None:
    assert luck(races, 1000, seed=races) <= 50


def test_a_better_candidate_is_found() -> None:
    generator = np.random.default_rng(5)
    better = [compare(generator.normal(-0.1, 0.3, 100)) for _ in range(100)]
    assert sum(clearly(compared, LIMITS) == "better" for compared in better) >= 80
