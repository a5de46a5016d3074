import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from f1.monitoring.judging import threshold
from f1.monitoring.sequential import (
    FLOOR,
    LARGEST,
    Difference,
    better_than_all,
    difference,
    evidence,
    loss,
    worse_than_any,
)

ALPHA = 0.05
STREAMS = 1000
RACES = 60


def streams(edge: float, baselines: int, seed: int) -> list[list[list[Difference | None]]]:
    """Streams of races of two drivers, each with differences to every baseline.

    Who wins is drawn so that the expected difference to the first baseline is 0, shifted by `edge` in the
    chance of the driver whom the model likes more: positive for a better model. The other baselines are worse
    than the model.
    """
    rng = np.random.default_rng(seed)
    made: list[list[list[Difference | None]]] = []
    for _ in range(STREAMS):
        rows: list[list[Difference | None]] = [[] for _ in range(baselines)]
        for m, b, u, v in rng.uniform(size=(RACES, 4)):
            m, b = 0.02 + 0.96 * m, 0.02 + 0.96 * b
            up, down = math.log(b / m), math.log((1 - b) / (1 - m))
            fair = down / (down - up) if abs(down - up) > 1e-9 else 0.5
            chance = min(max(fair + edge * (1 if m > b else -1), 0.0), 1.0)
            winner = "ada" if u < chance else "bob"
            model = {"ada": m, "bob": 1 - m}
            rows[0].append(difference(model, {"ada": b, "bob": 1 - b}, winner))
            for row in rows[1:]:
                # Overconfident the wrong way round.
                wrong = 0.9 if chance < 0.5 else 0.1
                row.append(difference(model, {"ada": wrong, "bob": 1 - wrong}, winner))
        made.append(rows)
    return made


def alarms(made: list[list[list[Difference | None]]], alpha: float) -> float:
    return float(np.mean([worse_than_any(rows).max() >= 1 / alpha for rows in made]))


def test_false_alarms_are_as_rare_as_promised_however_often_one_looks() -> None:
    # As good as the best baseline: the hardest case in which no alarm is right.
    assert alarms(streams(0.0, 1, 20261129), ALPHA) <= ALPHA
    assert alarms(streams(0.0, 3, 20261130), ALPHA) <= ALPHA


def test_a_worse_model_is_found_and_a_better_one_is_not() -> None:
    worse, better = streams(-0.3, 1, 7), streams(0.3, 1, 8)
    assert alarms(worse, ALPHA) >= 0.8
    assert alarms(better, ALPHA) <= 0.005
    assert np.mean([better_than_all(rows)[-1] >= 1 / ALPHA for rows in better]) >= 0.8


def test_expected_wealth_does_not_grow_when_both_are_as_good() -> None:
    # The mean over the two possible winners, weighted so that the expected difference is 0.
    model, baseline = {"ada": 0.7, "bob": 0.3}, {"ada": 0.4, "bob": 0.6}
    won, lost = (difference(model, baseline, driver) for driver in model)
    chance = lost.value / (lost.value - won.value)
    mean = chance * evidence([won])[0] + (1 - chance) * evidence([lost])[0]
    assert mean == pytest.approx(1.0)


def test_the_two_sides_and_bounds_of_a_difference() -> None:
    model, baseline = {"ada": 0.8, "bob": 0.15, "cleo": 0.05}, {"ada": 0.4, "bob": 0.3, "cleo": 0.3}
    found = difference(model, baseline, "cleo")
    assert found.value == pytest.approx(math.log(0.3 / 0.05))
    assert (found.gain, found.loss) == pytest.approx((math.log(2), math.log(6)))
    assert found.reversed().reversed() == found
    assert evidence([found])[0] > 1 > evidence([found.reversed()])[0]


def test_ties_prove_nothing() -> None:
    same = {"ada": 0.6, "bob": 0.4}
    assert difference(same, same, "ada") == Difference(0.0, 0.0, 0.0)
    assert list(evidence([difference(same, same, "ada")] * 50)) == [1.0] * 50


def test_a_probability_of_zero_counts_as_the_floor_and_decides_nothing_alone() -> None:
    impossible = difference({"ada": 1.0, "bob": 0.0}, {"ada": 0.5, "bob": 0.5}, "bob")
    assert impossible.value == pytest.approx(math.log(0.5 / FLOOR))
    assert 1 < evidence([impossible])[0] < 1 / ALPHA
    # When both called it impossible, neither was better.
    both = difference({"ada": 1.0, "bob": 0.0}, {"ada": 1.0, "bob": 0.0001}, "bob")
    assert both.value == 0.0
    assert loss(0.0) == loss(FLOOR)


def test_a_race_without_the_baseline_is_no_bet() -> None:
    found = Difference(1.0, 1.0, 1.0)
    assert list(evidence([None, found, None])) == [1.0, evidence([found])[0], evidence([found])[0]]
    assert worse_than_any([[None, None], [None, found]])[-1] == pytest.approx((1 + evidence([found])[0]) / 2)
    # Nothing is known of one of them, so that better than all is not proven.
    assert better_than_all([[found.reversed()] * 100, [None] * 100])[-1] <= 1.0
    assert len(worse_than_any([])) == len(better_than_all([])) == 0


def test_drivers_must_be_the_same() -> None:
    with pytest.raises(ValueError, match="the same drivers"):
        difference({"ada": 1.0}, {"bob": 1.0}, "ada")
    with pytest.raises(ValueError, match="the winner among them"):
        difference({"ada": 1.0}, {"ada": 1.0}, "bob")


def test_the_threshold_holds_for_both_stages_together() -> None:
    assert threshold(0.05) == 40.0


probability = st.floats(0.0, 1.0, allow_nan=False)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(probability, probability, st.booleans()), min_size=1, max_size=400))
def test_evidence_is_never_negative_and_always_finite(races: list[tuple[float, float, bool]]) -> None:
    found = evidence(
        [
            difference({"a": m, "b": 1.0 - m}, {"a": b, "b": 1.0 - b}, "a" if won else "b")
            for m, b, won in races
        ]
    )
    assert np.all(found > 0) and np.all(found <= LARGEST)
