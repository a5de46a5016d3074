"""Probabilities within a race: who wins, who is on the podium, and the likelihood of an order of arrival.

Drivers of several races are stacked in flat arrays; `group` says which race a row belongs to, as 0 … n−1 in
order. A driver's utility u is a log-strength: P(win) = exp(u) / Σ exp(u) over the race (Plackett–Luce).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

# How much the choice of the first, second and third place counts in a likelihood.
Importance = tuple[float, float, float]
WINNER: Importance = (1.0, 0.0, 0.0)


def softmax(utility: Floats, group: Ints) -> Floats:
    """Win probabilities; they sum to 1 in each race."""
    count = int(group[-1]) + 1
    top = np.full(count, -np.inf)
    np.maximum.at(top, group, utility)
    strength = np.exp(utility - top[group])
    return np.asarray(strength / np.bincount(group, strength, minlength=count)[group], dtype=np.float64)


@dataclass(frozen=True)
class Places:
    """Places of arrival of stacked races, and the weight of each race's rows in a fit."""

    position: Ints
    group: Ints
    weight: Floats

    @classmethod
    def of(cls, position: Ints, group: Ints) -> Places:
        """All races with equal weight."""
        return cls(position, group, np.ones(len(group)))

    def gradient(self, utility: Floats, importances: Importance = WINNER) -> tuple[float, Floats, Floats]:
        """Negative weighted Plackett–Luce log-likelihood of the first three, its gradient and Hessian
        diagonal."""
        loss, gradient, curvature = 0.0, np.zeros_like(utility), np.zeros_like(utility)
        count = int(self.group[-1]) + 1
        for place, importance in enumerate(importances, start=1):
            if not importance:
                continue
            chosen = self.position == place
            decided = np.bincount(self.group, chosen, minlength=count)[self.group] > 0
            left = np.where(self.position >= place, utility, -1e9)
            p = np.where(decided, softmax(left, self.group), 0.0)
            scale = importance * self.weight
            loss -= float(np.sum(scale[chosen] * np.log(np.maximum(p[chosen], 1e-300))))
            gradient += scale * (p - chosen)
            curvature += scale * np.maximum(p * (1.0 - p), 1e-6)
        return loss, gradient, curvature


def discounted(win: Floats, second: float, third: float) -> tuple[Floats, Floats]:
    """Strengths for the second and third place from win probabilities: win^second, win^third."""
    safe = np.maximum(win, 1e-12)
    return safe**second, safe**third


def podium(win: Floats, strength2: Floats, strength3: Floats) -> Floats:
    """Podium probabilities of one race: who wins, and how strong each is in the contest for the next places.

    The winner is drawn by `win`; the second and the third among those left, in proportion to their strengths.
    With the win probabilities as strengths these are Harville's formulas (1973), with powers of them those of
    Lo and Bacon-Shone ("Probability and statistical models for racing", 2008). Every triple of drivers is
    counted once, so the result sums to 3 (to the number of drivers in smaller fields), is at most 1, and at
    least `win`.
    """
    drivers = len(win)
    if drivers <= 3:
        return np.ones(drivers)
    safe = np.maximum(win, 1e-12)
    safe = safe / safe.sum()
    # Sums over the others are taken as such: total minus own loses all digits when one driver dominates.
    others = 1.0 - np.eye(drivers)
    # pair[i, j]: i wins and j is second.
    pair = (safe / (others @ strength2))[:, None] * strength2[None, :] * others
    # left[i, j]: strength of all but i and j.
    left = (others * strength3) @ others
    rate = pair / np.where(others > 0, left, 1.0)
    third_place = strength3 * ((rate @ others) * others).sum(axis=0)
    return np.asarray(np.clip(safe + pair.sum(axis=0) + third_place, 0.0, 1.0), dtype=np.float64)


def podiums(win: Floats, strength2: Floats, strength3: Floats, group: Ints) -> Floats:
    """`podium` for stacked races."""
    edges = np.flatnonzero(np.diff(group)) + 1
    parts = zip(*(np.split(values, edges) for values in (win, strength2, strength3)), strict=True)
    return np.concatenate([podium(*part) for part in parts])
