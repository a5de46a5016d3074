"""Multi-player ELO by pairwise comparison.

A race is read as a tournament of all pairs: whoever finished in front won that game. With n players,

    expected_i = mean over j≠i of 1 / (1 + 10^((R_j − R_i) / 400))
    score_i    = share of the others that i finished in front of (a tie counts half)
    R_i       += K · (score_i − expected_i)

The two-player formulas are Elo's (A. Elo, "The Rating of Chessplayers, Past and Present", 1978, §1.4 and
1.6); taking the mean over all pairs is the usual extension to races. A race does not change the sum of
ratings.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

START = 1500.0
SCALE = 400.0

Floats = NDArray[np.float64]


def expected(ratings: Floats) -> Floats:
    """Expected share of opponents beaten, for each player. Needs two players or more."""
    wins = 1.0 / (1.0 + 10.0 ** ((ratings[None, :] - ratings[:, None]) / SCALE))
    return np.asarray((wins.sum(axis=1) - 0.5) / (len(ratings) - 1), dtype=np.float64)


def scored(places: Floats) -> Floats:
    """Share of opponents beaten, for each player, from finishing places (equal places tie)."""
    beaten = (places[:, None] < places[None, :]) + 0.5 * (places[:, None] == places[None, :])
    return np.asarray((beaten.sum(axis=1) - 0.5) / (len(places) - 1), dtype=np.float64)


def updated(ratings: Floats, places: Floats, k: float) -> Floats:
    """Ratings after a race. Fewer than two players change nothing."""
    if len(ratings) < 2:
        return ratings
    return np.asarray(ratings + k * (scored(places) - expected(ratings)), dtype=np.float64)


def regressed(rating: float, share: float) -> float:
    """A rating moved by `share` (0 to 1) of the way back to the start value, as between seasons."""
    return rating + share * (START - rating)
