"""Fictional seasons from a simulator, so that a platform without network or data is alive.

Drivers, teams and circuits are made up. Behind the results are latent skills that the model never sees: a
driver's
pace, a team's pace that drifts over the seasons, luck, rain, retirements. Equal arguments give equal seasons.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import numpy as np

from f1.dataset import CircuitRow, QualifyingRow, RaceRow, ResultRow, SeasonData, Who
from f1.history import Status
from f1.identities import slug, title

POINTS = (25, 18, 15, 12, 10, 8, 6, 4, 2, 1)
TEAMS = (
    "Aurora Racing", "Borealis GP", "Cobalt Motorsport", "Delta Nine", "Ember Works",
    "Falcon Grid", "Granite Racing", "Halcyon", "Ionis Racing", "Juniper Team",
)  # fmt: skip
DRIVERS = (
    "Mira Solano", "Teo Lindqvist", "Ayo Bakare", "Noor Haddad", "Luca Ferrante", "Ines Duarte",
    "Kenji Morita",
    "Oskar Brandt", "Priya Raman", "Callum Reid", "Zoe Marchetti", "Andrei Popov", "Hana Kovac",
    "Diego Salinas",
    "Freya Nilsen", "Malik Toure", "Jonas Weiss", "Elif Aydin", "Tomas Havel", "Ruby Okafor", "Silas Grant",
    "Yara Mendes", "Viktor Ilves", "Chloe Renard", "Arjun Nair", "Nadia Petrov",
)  # fmt: skip
CIRCUITS = (
    ("Amber Valley", "RACE"), ("Harbour Lights", "STREET"), ("Cedar Ridge", "RACE"), ("Silver Dunes", "RACE"),
    ("Old Town Loop", "STREET"), ("Pine Lake", "ROAD"), ("Red Mesa", "RACE"), ("Storm Point", "RACE"),
    ("Lantern Bay", "STREET"), ("High Meadow", "RACE"), ("Glass City", "STREET"), ("North Quarry", "RACE"),
    ("Willow Park", "ROAD"), ("Sunset Strand", "STREET"), ("Iron Hills", "RACE"), ("Blue Lagoon", "RACE"),
)  # fmt: skip
LAPS = 56
BASE_LAP_MS = 84_000


@dataclass(frozen=True)
class _Car:
    """A driver in a team for a season, and the true pace of both in percent of a lap."""

    who: Who
    driver_pace: float
    team_pace: float
    fragile: float
    wet: float


def simulate(seed: int, seasons: int, as_of: dt.date) -> list[SeasonData]:
    """`seasons` seasons up to that of `as_of`, and the next one's calendar when that is over.

    Races up to that day have results; the one after it has a qualifying, so that there is always a race to
    predict.
    Raises ValueError for fewer than five seasons, with which no model can be trained.
    """
    if seasons < 5:
        raise ValueError("a model needs 5 seasons or more")
    rng = np.random.default_rng(seed)
    pace = rng.normal(0.0, 0.18, len(DRIVERS))
    wet = rng.normal(0.0, 0.15, len(DRIVERS))
    team_pace = np.sort(rng.normal(0.9, 0.4, len(TEAMS)))
    line_up = list(rng.permutation(len(DRIVERS))[: 2 * len(TEAMS)])
    result = []
    upcoming_qualified = False
    for year in range(as_of.year - seasons + 1, as_of.year + 2):
        if upcoming_qualified:
            break
        team_pace = team_pace + 0.4 * (0.9 - team_pace) + rng.normal(0.0, 0.22, len(TEAMS))
        fragile = rng.uniform(0.03, 0.14, len(TEAMS))
        line_up = _transfers(rng, line_up)
        cars = [
            _Car(
                _who(driver, seat // 2),
                float(pace[driver]),
                float(team_pace[seat // 2]),
                float(fragile[seat // 2]),
                float(wet[driver]),
            )
            for seat, driver in enumerate(line_up)
        ]
        races: list[RaceRow] = []
        results: list[ResultRow] = []
        qualifying: list[QualifyingRow] = []
        rain: dict[int, float] = {}
        for index, circuit in enumerate(rng.permutation(len(CIRCUITS))):
            race = _race(year, index, int(circuit))
            races.append(race)
            if race.date <= as_of or not upcoming_qualified:
                upcoming_qualified = race.date > as_of
                laps, finish, millimetres = _weekend(rng, race, cars)
                qualifying += laps
                rain[race.round] = millimetres
                if race.date <= as_of:
                    results += finish
        result.append(SeasonData(year, tuple(races), tuple(results), tuple(qualifying), True, rain))
    return result


def _transfers(rng: np.random.Generator, line_up: list[int]) -> list[int]:
    """Two seats change hands, two newcomers come in."""
    seats = list(line_up)
    a, b, c, d = (int(x) for x in rng.choice(len(seats), 4, replace=False))
    seats[a], seats[b] = seats[b], seats[a]
    free = [driver for driver in range(len(DRIVERS)) if driver not in seats]
    for seat, driver in zip((c, d), rng.permutation(free), strict=False):
        seats[seat] = int(driver)
    return seats


def _who(driver: int, team: int) -> Who:
    name = DRIVERS[driver]
    return Who(slug(name), slug(TEAMS[team]), name, TEAMS[team], name.split()[1][:3].upper())


def _race(year: int, index: int, circuit: int) -> RaceRow:
    name, kind = CIRCUITS[circuit]
    date = dt.date(year, 3, 1) + dt.timedelta(days=17 * index)
    date += dt.timedelta(days=(6 - date.weekday()) % 7)
    return RaceRow(
        index + 1, f"{title(slug(name))} Grand Prix", CircuitRow(slug(name), name, kind), date, LAPS, 305.0
    )


def _weekend(
    rng: np.random.Generator, race: RaceRow, cars: list[_Car]
) -> tuple[list[QualifyingRow], list[ResultRow], float]:
    taste = rng.normal(0.0, 0.12, len(cars))
    true = np.array([car.driver_pace + car.team_pace for car in cars]) + taste
    millimetres = float(round(rng.exponential(6.0), 1)) if rng.random() < 0.2 else 0.0
    lap = true + rng.normal(0.0, 0.22, len(cars))
    grid = np.argsort(np.argsort(lap)) + 1
    fastest = lap.min()
    qualifying = []
    for i, car in enumerate(cars):
        times = [
            int(BASE_LAP_MS * (1 + (lap[i] - fastest) / 100 + extra)) if grid[i] <= last else None
            for last, extra in ((len(cars), 0.008), (15, 0.004), (10, 0.0))
        ]
        qualifying.append(QualifyingRow(race.round, car.who, int(grid[i]), *times))
    stickiness = 0.055 if race.circuit.type == "RACE" else 0.085
    score = true + stickiness * grid + rng.gumbel(0.0, 0.28, len(cars))
    if millimetres > 1.0:
        score = score + np.array([car.wet for car in cars]) + rng.normal(0.0, 0.25, len(cars))
    out = np.array(
        [rng.random() < car.fragile + (0.04 if race.circuit.type == "STREET" else 0.01) for car in cars]
    )
    out[np.argsort(score)[: max(0, 3 - int((~out).sum()))]] = False
    order = [int(i) for i in np.argsort(np.where(out, score + 1000.0, score))]
    results = []
    for place, i in enumerate(order, start=1):
        status: Status = "dnf" if out[i] else "finished"
        results.append(
            ResultRow(
                race.round,
                cars[i].who,
                None if out[i] else place,
                status,
                int(grid[i]),
                False,
                float(POINTS[place - 1]) if place <= len(POINTS) and not out[i] else 0.0,
                int(rng.integers(1, LAPS)) if out[i] else LAPS,
                None,
                "Mechanical" if out[i] else None,
            )
        )
    return qualifying, results, millimetres
