import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from f1.model.mixture import SHARE, Mixture, log_mean

EVEN = {"a": 0.5, "b": 0.5}
chances = st.lists(st.tuples(st.floats(0.01, 0.99), st.floats(0.01, 0.99)), min_size=1, max_size=80)


def losses(given_to_winners: list[tuple[float, float]]) -> tuple[float, Mixture]:
    """Summed log-loss of the mixture of two experts, and the mixture afterwards."""
    mixture, total = Mixture.start(EVEN), 0.0
    for a, b in given_to_winners:
        total -= float(np.log(mixture.win({"a": np.array([a]), "b": np.array([b])})[0]))
        mixture = mixture.after({"a": a, "b": b})
    return total, mixture


@given(chances, st.integers(0, 80))
def test_it_is_never_further_behind_a_sequence_of_experts_than_its_bound(
    given_to_winners: list[tuple[float, float]], change: int
) -> None:
    total, mixture = losses(given_to_winners)
    assert sum(mixture.weights.values()) == pytest.approx(1)
    races = len(given_to_winners)
    change = min(change, races)
    changes = int(0 < change < races)
    sequence = [a for a, _ in given_to_winners[:change]] + [b for _, b in given_to_winners[change:]]
    named = 1 + changes
    bound = named * np.log(2) - changes * np.log(SHARE) - (races - 1 - changes) * np.log(1 - SHARE)
    assert total <= -np.log(sequence).sum() + bound + 1e-9


def test_it_follows_a_new_order_within_a_few_races() -> None:
    _, mixture = losses([(0.5, 0.2)] * 40)
    assert mixture.weights["a"] > 0.97
    for _ in range(6):
        mixture = mixture.after({"a": 0.1, "b": 0.4})
    assert mixture.weights["b"] > 0.9


@given(st.floats(1e-6, 1e6), st.floats(1e-6, 1e6))
def test_the_logarithmic_mean_turns_a_difference_into_one_of_logarithms(a: float, b: float) -> None:
    mean = float(log_mean(np.array([a]), b)[0])
    assert min(a, b) * (1 - 1e-9) <= mean <= max(a, b) * (1 + 1e-9)
    assert (a - b) / mean == pytest.approx(np.log(a) - np.log(b), rel=1e-6, abs=1e-9)


def test_the_logarithmic_mean_of_a_number_with_itself() -> None:
    assert log_mean(np.array([0.05]), 0.05).tolist() == [0.05]
