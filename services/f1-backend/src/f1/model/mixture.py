"""A mixture of experts whose weights follow their own out-of-sample predictions, race by race.

The mixture's probability is Σ wₖ pₖ. After a race each weight is multiplied by what its expert had given to
the winner, all are made to sum to 1 (this is Bayes' rule), and the share `SHARE` of the total goes back to
the weights at the start. Without the last step the mixture's summed log-loss is at most that of any one
expert k plus ln(1/prior_k). With it, for any way of dividing T races among m + 1 experts in a row (m
changes),

    loss(mixture) ≤ loss(that sequence) + Σ ln(1/prior of each expert named) − m ln α − (T − 1 − m) ln(1 − α)

so that a new order of teams, which another expert knows better, is picked up within a few races. With α =
0.01 the last term is 0.01 a race. Herbster and Warmuth, "Tracking the best expert", Machine Learning 32, 1998
(fixed share; for log-loss, with learning rate 1, the mixture loses nothing against prediction by Bayes'
rule); sharing to the start vector: Bousquet and Warmuth, "Tracking a small set of experts by mixing past
posteriors", JMLR 3, 2002.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from f1.model.races import Floats

SHARE = 0.01


@dataclass(frozen=True)
class Mixture:
    """Experts' names with their weights at the start and now; both sum to 1."""

    prior: dict[str, float]
    weights: dict[str, float]

    @classmethod
    def start(cls, prior: dict[str, float]) -> Mixture:
        """Before the first race."""
        return cls(prior, prior)

    def win(self, by: dict[str, Floats]) -> Floats:
        """Probabilities of the mixture from those of its experts, named as the weights are."""
        return np.asarray(sum(weight * by[name] for name, weight in self.weights.items()), dtype=np.float64)

    def after(self, given: dict[str, float]) -> Mixture:
        """The mixture after a race whose winner had been given these probabilities by the experts."""
        posterior = {name: weight * given[name] for name, weight in self.weights.items()}
        total = sum(posterior.values())
        return Mixture(
            self.prior,
            {
                name: (1.0 - SHARE) * posterior[name] / total + SHARE * start
                for name, start in self.prior.items()
            },
        )


def log_mean(a: Floats, b: float | Floats) -> Floats:
    """Logarithmic mean (a − b) / (ln a − ln b) of positive numbers, element by element; a where both are
    equal.

    It turns a difference into a difference of logarithms without a remainder, which is what makes the
    explanations exact: Ang, "The LMDI approach to decomposition analysis", Energy Policy 33, 2005.
    """
    ratio = np.asarray(a / b, dtype=np.float64)
    near = np.abs(ratio - 1.0) < 1e-6
    safe = np.where(near, 2.0, ratio)
    return np.asarray(b * np.where(near, (ratio + 1.0) / 2.0, (safe - 1.0) / np.log(safe)), dtype=np.float64)
