"""Imports from start to end: season by season, each in one transaction, with a journal to go on from."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from f1 import store
from f1.dataset import SeasonData
from f1.ingest.weather import HORIZON, Unknown, WeatherClient
from servicekit.database import Database

log = logging.getLogger(__name__)

# A weather service that fails this often in a row is down; asking it about every race would only take time.
WEATHER_GIVES_UP_AFTER = 3


@dataclass(frozen=True)
class Outcome:
    """What an import did."""

    written: int
    unchanged: int


def ingest(database: Database, source: str, seasons: Iterable[SeasonData]) -> Outcome:
    """Write the seasons that are new or have changed. Raises SourceError; seasons written before it stay."""
    written = unchanged = 0
    for season in seasons:
        unit, fingerprint = str(season.year), season.fingerprint()
        with database.session() as session:
            if store.journal(session, source, unit) == fingerprint:
                unchanged += 1
                continue
            for correction in store.save_season(session, season, source):
                log.warning(correction)
            store.journal_done(session, source, unit, fingerprint, season.rows)
        written += 1
        log.info("season written", extra={"source": source, "season": season.year, "rows": season.rows})
    return Outcome(written, unchanged)


def pending(database: Database, source: str, years: Iterable[int], refresh: bool) -> list[int]:
    """The years to fetch: those never imported, and those with races that were still to come."""
    with database.session() as session:
        return [
            year
            for year in years
            if refresh
            or store.journal(session, source, str(year)) is None
            or not store.season_complete(session, year)
        ]


def update_ratings(database: Database) -> None:
    """Compute the stored ELO ratings anew from all results."""
    with database.session() as session:
        store.save_ratings(session, store.load_history(session))


def update_weather(
    database: Database, client: WeatherClient, since: int | None, today: Callable[[], dt.date]
) -> tuple[int, int]:
    """Fetch missing weather, the latest races first; returns how many became known and how many stayed
    unknown."""
    now = today()
    with database.session() as session:
        races = store.races_without_weather(session, since, now, HORIZON)
    known = unknown = in_a_row = 0
    for race_id, date, latitude, longitude in races:
        if in_a_row >= WEATHER_GIVES_UP_AFTER:
            log.warning(
                "the weather service does not answer, giving up", extra={"left": len(races) - known - unknown}
            )
            break
        weather = client.day(latitude, longitude, date, now)
        with database.session() as session:
            store.save_weather(session, race_id, weather)
        failed = isinstance(weather, Unknown)
        known, unknown, in_a_row = known + (not failed), unknown + failed, in_a_row + 1 if failed else 0
    return known, unknown
