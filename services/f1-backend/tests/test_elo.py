import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from f1 import elo

ratings = st.lists(st.floats(800, 2400), min_size=2, max_size=24)


def test_two_equal_players_exchange_half_of_k() -> None:
    after = elo.updated(np.array([1500.0, 1500.0]), np.array([0.0, 1.0]), 32)
    assert after.tolist() == [1516.0, 1484.0]


def test_a_400_point_favourite_is_expected_to_win_ten_of_eleven() -> None:
    assert elo.expected(np.array([1900.0, 1500.0]))[0] == pytest.approx(10 / 11)


def test_a_tie_is_half_a_win() -> None:
    assert elo.scored(np.array([1.0, 1.0, 3.0])).tolist() == [0.75, 0.75, 0.0]


def test_one_player_alone_learns_nothing() -> None:
    assert elo.updated(np.array([1600.0]), np.array([0.0]), 32).tolist() == [1600.0]


def test_between_seasons_a_rating_goes_part_of_the_way_back() -> None:
    assert elo.regressed(1700.0, 0.25) == 1650.0


@given(ratings, st.randoms())
def test_points_are_exchanged_never_made(values: list[float], random: object) -> None:
    before = np.array(values)
    places = np.arange(len(values), dtype=np.float64)
    random.shuffle(places)  # type: ignore[attr-defined]
    after = elo.updated(before, places, 30)
    assert after.sum() == pytest.approx(before.sum())
    assert elo.expected(before).sum() == pytest.approx(len(values) / 2)
    # Whoever beats everybody does not lose, whoever loses to everybody does not gain.
    assert after[places.argmin()] >= before[places.argmin()]
    assert after[places.argmax()] <= before[places.argmax()]
