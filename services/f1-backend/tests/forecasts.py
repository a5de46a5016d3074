"""Forecasts as they were stored before races, for tests."""

from collections.abc import Sequence

from sqlalchemy import text

from f1 import store
from f1.forecast import Chance, Forecast
from f1.history import POST_QUALIFYING, RaceRecord, Stage
from f1.model.baseline import names
from servicekit.database import Database

GOOD, BAD = 0.7, 0.05


def certain(record: RaceRecord, driver: str, probability: float) -> dict[str, float]:
    """Win probabilities in which one driver has `probability`, and the others share the rest."""
    drivers = [entry.driver for entry in record.entries]
    rest = (1.0 - probability) / (len(drivers) - 1)
    return {each: probability if each == driver else rest for each in drivers}


def said(
    record: RaceRecord,
    model: float,
    baseline: float,
    stage: Stage = POST_QUALIFYING,
    winner: str | None = None,
) -> Forecast:
    """A forecast in which model and baselines gave the winner these chances."""
    driver = winner or record.winner
    win, known = certain(record, driver, model), certain(record, driver, baseline)
    chances = [
        Chance(entry.driver, entry.constructor, None, win[entry.driver], win[entry.driver], 0.1, [])
        for entry in sorted(record.entries, key=lambda entry: -win[entry.driver])
    ]
    return Forecast(record.race, stage, chances, {name: known for name in names(stage)})


def keep(database: Database, forecasts: Sequence[Forecast], version: str = "m-1", days: int = 1) -> None:
    """Store forecasts as if `days` before each race; 0 or less: on the day of the race or after it."""
    with database.session() as session:
        for forecast in forecasts:
            cutoff = forecast.race.date.replace(year=forecast.race.date.year - 1)
            store.save_predictions(session, version, [(forecast, cutoff)])
            session.execute(
                text(
                    "UPDATE predictions SET generated_at = r.date - make_interval(days => :days) "
                    "FROM races r WHERE r.id = race_id AND r.season = :season AND r.round = :round "
                    "AND model_version = :version AND stage = :stage"
                ),
                {
                    "days": days,
                    "season": forecast.race.season,
                    "round": forecast.race.round,
                    "version": version,
                    "stage": forecast.stage,
                },
            )
