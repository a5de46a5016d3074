import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from f1.model.baseline import GridBaseline, PointerBaseline
from f1.model.races import Places, discounted, podium, podiums, softmax

utilities = st.lists(st.floats(-30, 30), min_size=4, max_size=24).map(np.array)


def harville(win: np.ndarray, second: float, third: float) -> np.ndarray:
    """Podium probabilities the slow way: every order of three."""
    chances = np.zeros(len(win))
    for i, j, k in itertools.permutations(range(len(win)), 3):
        s2, s3 = win**second, win**third
        p = win[i] * s2[j] / (s2.sum() - s2[i]) * s3[k] / (s3.sum() - s3[i] - s3[j])
        chances[[i, j, k]] += p
    return chances


@given(utilities, st.floats(0.4, 1.2), st.floats(0.3, 1.2))
def test_podium_chances_sum_to_three_and_are_at_least_those_of_winning(
    utility: np.ndarray, second: float, third: float
) -> None:
    win = softmax(utility, np.zeros(len(utility), dtype=np.int64))
    chances = podium(win, *discounted(win, second, third))
    assert win.sum() == pytest.approx(1)
    assert chances.sum() == pytest.approx(3, abs=1e-6)
    assert (chances <= 1).all()
    assert (chances >= win - 1e-9).all()
    # The order of the field is kept.
    assert (np.diff(chances[np.argsort(win)]) >= -1e-9).all()


@pytest.mark.parametrize(("second", "third"), [(1.0, 1.0), (0.8, 0.65)])
def test_podium_is_the_sum_over_all_orders(second: float, third: float) -> None:
    win = np.array([0.5, 0.25, 0.15, 0.07, 0.03])
    assert podium(win, *discounted(win, second, third)) == pytest.approx(harville(win, second, third))


def test_in_a_field_of_three_everybody_is_on_the_podium() -> None:
    win = np.array([0.9, 0.05, 0.05])
    assert podium(win, win, win).tolist() == [1, 1, 1]


def test_who_follows_may_be_others_than_who_wins() -> None:
    win = np.array([0.9, 0.05, 0.03, 0.02])
    strength = np.array([0.1, 0.1, 0.7, 0.1])
    chances = podium(win, strength, strength)
    assert chances.sum() == pytest.approx(3)
    assert chances[2] > chances[1] > win[1]


def test_stacked_races_are_kept_apart() -> None:
    utility = np.array([1.0, 2.0, 0.0, 0.5, 5.0, 1.0, 1.0, 2.0, 3.0])
    group = np.array([0, 0, 0, 0, 1, 1, 1, 1, 1])
    win = softmax(utility, group)
    assert win[:4] == pytest.approx(softmax(utility[:4], group[:4]))
    both = podiums(win, *discounted(win, 0.9, 0.8), group)
    assert both[4:] == pytest.approx(podium(win[4:], *discounted(win[4:], 0.9, 0.8)))


def test_the_gradient_is_that_of_the_loss() -> None:
    rng = np.random.default_rng(1)
    group = np.repeat([0, 1], [6, 5])
    # In the second race nobody is third: that place says nothing.
    position = np.array([3, 1, 2, 4, 99, 5, 2, 1, 99, 99, 99])
    places = Places(position, group, np.repeat([1.0, 0.4], [6, 5]))
    utility = rng.normal(size=11)
    of = (1.0, 0.5, 0.5)
    _, gradient, curvature = places.gradient(utility, of)
    for i in range(11):
        step = np.zeros(11)
        step[i] = 1e-6
        slope = (places.gradient(utility + step, of)[0] - places.gradient(utility - step, of)[0]) / 2e-6
        assert gradient[i] == pytest.approx(slope, abs=1e-5)
    assert (curvature > 0).all()


def test_the_baseline_is_the_smoothed_rate_of_each_place() -> None:
    grid = np.array([1.0, 2.0, 3.0] * 20)
    won = np.tile([True, False, False], 20)
    baseline = GridBaseline.fit(grid, won)
    assert baseline.rates[1] == pytest.approx(21 / 40)
    assert baseline.rates[2] == pytest.approx(1 / 40)
    assert baseline.rates[20] == pytest.approx(1 / 20)
    win = baseline.win(np.array([1.0, 2.0, np.nan]), np.zeros(3, dtype=np.int64))
    assert win.sum() == pytest.approx(1)
    assert win[0] == pytest.approx((21 / 40) / (21 / 40 + 1 / 40 + 1 / 20))


def test_the_pointed_driver_gets_the_rate_at_which_such_ones_won() -> None:
    pointed, won = np.array([True, False] * 8), np.array([True, False, False, True] * 4)
    baseline = PointerBaseline.fit(pointed, won)
    assert baseline.rate == pytest.approx(5 / 10)
    group = np.array([0, 0, 0, 1, 1])
    win = baseline.win(np.array([False, True, False, False, False]), group)
    assert win.tolist() == [0.25, 0.5, 0.25, 0.5, 0.5]
