"""A sequential test of paired log-loss differences: it may be looked at after every race.

For one baseline, with L the log-loss of the winner, d = L(model) − L(baseline) is the difference in a race.
Before the race it is known how low d can come out: if driver j wins, d = ln b(j) − ln m(j). So with
c = −min over j of that, which is the most that the model can gain on the baseline, and a bet λ in [0, 1/c)
that is chosen before the race,

    E = product over the races of (1 + λ·d)

is never negative, and as long as the model is expected to do no worse than the baseline, E is not expected to
grow. By Ville's inequality it then ever reaches 1/α with a probability of at most α, however often one looks
and whenever one stops. A large E is evidence that the model is worse than the baseline.

Sources: I. Waudby-Smith and A. Ramdas, Estimating means of bounded random variables by betting, Journal of
the Royal Statistical Society B 86 (2024), arXiv:2010.09686 (the capital process, and bets truncated to a
share of 1/c); Y. J. Choe and A. Ramdas, Comparing sequential forecasters, Operations Research 72 (2024),
arXiv:2110.00115 (e-processes for differences of scores, with bounds that are known before each outcome).

No bet is best for all differences, so that E is the mean of the products for all of `BETS`. The mean over
baselines, too, is such a process: for a model that is no worse than any of them.

What is tested is the log-loss with probabilities below `FLOOR` taken as `FLOOR`, for model and baseline
alike: a probability of 0 would otherwise make one race decide everything. So the test does not see by how
much a winner who was given less than one in a thousand was missed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from f1.model.races import Floats

FLOOR = 0.001
# Bets on a nat of difference, from cautious to bold; at most this share of what could be lost in a race.
BETS = (0.05, 0.1, 0.2, 0.4, 0.8)
LARGEST_SHARE = 0.75
# More is not counted; it would be infinite at some time.
LARGEST = 1e9
_TINY = 1e-9


@dataclass(frozen=True)
class Difference:
    """What a race says of two ways of predicting, a and b.

    `value` is the log-loss of a minus that of b, in nats. `gain` and `loss` are the most by which a could
    have done better and worse, as known before the race; both are at least 0.
    """

    value: float
    gain: float
    loss: float

    def reversed(self) -> Difference:
        """The same with a and b exchanged."""
        return Difference(-self.value, self.loss, self.gain)


def loss(probability: float) -> float:
    """Log-loss of a winner who was given `probability`, from 0 to 1; at most −ln(FLOOR)."""
    return -math.log(max(probability, FLOOR))


def difference(a: Mapping[str, float], b: Mapping[str, float], winner: str) -> Difference:
    """Compare two ways of predicting by the probabilities that they gave to the drivers of a race.

    Raises ValueError unless both name the same drivers, the winner among them.
    """
    if a.keys() != b.keys() or winner not in a:
        raise ValueError("both ways of predicting must name the same drivers, the winner among them")
    possible = [loss(a[driver]) - loss(b[driver]) for driver in a]
    return Difference(loss(a[winner]) - loss(b[winner]), max(-min(possible), 0.0), max(max(possible), 0.0))


def evidence(differences: Sequence[Difference | None]) -> Floats:
    """Evidence after each race that a is worse than b; 1 before the first.

    None stands for a race of which nothing is known of b: nothing is bet on it.
    """
    bets = np.array(BETS)
    wealth = np.ones(len(bets))
    running = []
    for each in differences:
        if each is not None:
            allowed = np.minimum(bets, LARGEST_SHARE / max(each.gain, _TINY))
            wealth = np.minimum(wealth * (1.0 + allowed * each.value), LARGEST)
        running.append(float(wealth.mean()))
    return np.array(running, dtype=np.float64)


def worse_than_any(by_baseline: Sequence[Sequence[Difference | None]]) -> Floats:
    """Evidence after each race that the model is worse than at least one of the baselines, which must be
    chosen beforehand: their mean. Empty without baselines."""
    return np.mean([evidence(each) for each in by_baseline], axis=0) if by_baseline else np.empty(0)


def better_than_all(by_baseline: Sequence[Sequence[Difference | None]]) -> Floats:
    """Evidence after each race that the model is better than every one of the baselines: the smallest."""
    reverse = [[each and each.reversed() for each in row] for row in by_baseline]
    return np.min([evidence(each) for each in reverse], axis=0) if by_baseline else np.empty(0)
