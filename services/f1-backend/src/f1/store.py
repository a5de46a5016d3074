"""Reading and writing the database. Every write is an upsert: doing it twice changes nothing."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

from sqlalchemy import String, cast, delete, exists, func, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from f1.dataset import QualifyingRow, ResultRow, SeasonData, SourceError, Who, race_record
from f1.features import FeatureState
from f1.history import Race, RaceRecord, ordered
from f1.ingest.weather import SOURCE, Reading, Unknown
from f1.forecast import Forecast
from f1.registry.freshness import Round
from f1.tables import (
    Base,
    Circuit,
    Constructor,
    Driver,
    IngestUnit,
    LabelVersion,
    MonitoringFinding,
    MonitoringReport,
    Prediction,
    Qualifying,
    Rating,
    Result,
    Season,
    Weather,
)
from f1.tables import Race as RaceTable

# PostgreSQL takes at most 65,535 parameters in a statement.
_CHUNK = 1000


def upsert(
    session: Session, table: type[Base], rows: Sequence[dict[str, Any]], keep: frozenset[str] = frozenset()
) -> None:
    """INSERT … ON CONFLICT DO UPDATE on the primary key; columns in `keep` are only written by the first
    insert."""
    keys = [column.name for column in table.__table__.primary_key]
    for start in range(0, len(rows), _CHUNK):
        part = list(rows[start : start + _CHUNK])
        statement = insert(table).values(part)
        changes = {
            name: statement.excluded[name] for name in part[0] if name not in keys and name not in keep
        }
        if changes:
            session.execute(statement.on_conflict_do_update(index_elements=keys, set_=changes))
        else:
            session.execute(statement.on_conflict_do_nothing(index_elements=keys))


def save_season(session: Session, season: SeasonData, source: str) -> list[str]:
    """Write a season; returns the corrections of what had been known before, each in a sentence.

    A race's results and qualifying are replaced as a whole where the source has any, and go where the source
    that gave them has none any more. What they said before stays in `label_versions`.
    Raises SourceError when demonstration and real data would meet in one database.
    """
    other = session.scalar(select(Season.year).where(Season.demo != season.demo).limit(1))
    if other is not None:
        have, got = ("real", "demonstration") if season.demo else ("demonstration", "real")
        raise SourceError(
            f"the database holds {have} seasons ({other}); {got} data needs a database of its own, "
            "or `f1 ingest demo --remove` first"
        )
    upsert(session, Season, [{"year": season.year, "demo": season.demo}])
    circuits = {race.circuit.id: race.circuit for race in season.races}
    upsert(
        session,
        Circuit,
        [
            {"id": c.id, "name": c.name, "type": c.type, "latitude": c.latitude, "longitude": c.longitude}
            for c in circuits.values()
        ],
    )
    _save_people(session, chain((r.who for r in season.results), (q.who for q in season.qualifying)))
    ids = _save_races(session, season)
    races = {ids[race.round]: f"{season.year}/{race.round} {race.name}" for race in season.races}
    rows = [_result(ids[row.round], row) for row in season.results]
    laps = [_qualifying(ids[row.round], row) for row in season.qualifying]
    corrections = _replace(session, Result, "results", rows, races, source)
    corrections += _replace(session, Qualifying, "qualifying", laps, races, source)
    if season.rain:
        upsert(session, Weather, [_simulated_weather(ids[round_], mm) for round_, mm in season.rain.items()])
    return corrections


# What a version of a race's labels holds of each row.
_LABELS = {
    "results": ("driver", "constructor", "position", "status", "grid", "pit_lane", "points"),
    "qualifying": ("driver", "constructor", "position", "q1", "q2", "q3"),
}


def _replace(
    session: Session,
    table: type[Result] | type[Qualifying],
    kind: str,
    rows: list[dict[str, Any]],
    races: dict[int, str],
    source: str,
) -> list[str]:
    """Write the rows of the races named, and delete those of these races that are not among them."""
    by_race: dict[int, list[dict[str, Any]]] = {race_id: [] for race_id in races}
    for values in rows:
        by_race[values["race_id"]].append(values)
    newest = _unversioned(session, table, kind, list(races))
    versions = [_version_row(version) for version in newest.values()]
    newest |= {
        version.race_id: version
        for version in session.scalars(
            select(LabelVersion)
            .where(LabelVersion.race_id.in_(races), LabelVersion.kind == kind)
            .order_by(LabelVersion.version)
        )
    }
    corrections = []
    for race_id, own in by_race.items():
        last = newest.get(race_id)
        # A source that never had a race's rows does not take those of another one away.
        if not own and (last is None or last.source != source or not last.labels):
            continue
        found = _labels(race_id, kind, own, last.version + 1 if last else 1, source)
        session.execute(
            delete(table).where(table.race_id == race_id, table.driver.not_in([row["driver"] for row in own]))
        )
        if last is not None and last.fingerprint == found.fingerprint:
            continue
        versions.append(_version_row(found))
        if last is not None:
            before, now = _first(last.labels), _first(found.labels)
            change = "they are withdrawn" if not own else f"first was {before}, is {now}"
            corrections.append(
                f"{races[race_id]}: {kind} corrected by {source}, version {found.version}: {change}"
            )
    upsert(session, LabelVersion, versions)
    upsert(session, table, rows)
    return corrections


def _unversioned(
    session: Session, table: type[Result] | type[Qualifying], kind: str, races: Sequence[int]
) -> dict[int, LabelVersion]:
    """The first version, by race, of rows that were stored before there were versions.

    Their source is the one that imported the season last, as far as that is known.
    """
    versioned = exists().where(LabelVersion.race_id == table.race_id, LabelVersion.kind == kind)
    by_race: dict[int, list[dict[str, Any]]] = defaultdict(list)
    names = _LABELS[kind]
    stored = select(table.race_id, *(getattr(table, name) for name in names))
    for race_id, *values in session.execute(stored.where(table.race_id.in_(races), ~versioned)):
        by_race[race_id].append(dict(zip(names, values, strict=True)))
    if not by_race:
        return {}
    unit = select(cast(RaceTable.season, String)).where(RaceTable.id.in_(by_race)).limit(1)
    imported = session.scalar(
        select(IngestUnit.source)
        .where(IngestUnit.unit == unit.scalar_subquery())
        .order_by(IngestUnit.finished_at.desc())
        .limit(1)
    )
    return {
        race_id: _labels(race_id, kind, rows, 1, imported or "unknown") for race_id, rows in by_race.items()
    }


def _labels(race_id: int, kind: str, rows: list[dict[str, Any]], version: int, source: str) -> LabelVersion:
    names = _LABELS[kind]
    labels = sorted([row[name] for name in names] for row in rows)
    return LabelVersion(
        race_id=race_id,
        kind=kind,
        version=version,
        source=source,
        fingerprint=hashlib.sha256(json.dumps(labels).encode()).hexdigest(),
        labels=[dict(zip(names, label, strict=True)) for label in labels],
    )


def _version_row(version: LabelVersion) -> dict[str, Any]:
    names = ("race_id", "kind", "version", "source", "fingerprint", "labels")
    return {name: getattr(version, name) for name in names}


def _first(labels: Sequence[dict[str, Any]]) -> str:
    return next((str(label["driver"]) for label in labels if label["position"] == 1), "nobody")


def _simulated_weather(race_id: int, millimetres: float) -> dict[str, Any]:
    return {
        "race_id": race_id,
        "precipitation_mm": millimetres,
        "temperature_c": 16.0 if millimetres else 24.0,
        "wind_kph": 18.0 if millimetres else 9.0,
        "source": "simulator",
        "unknown_because": None,
    }


def _save_people(session: Session, people: Iterable[Who]) -> None:
    drivers: dict[str, dict[str, Any]] = {}
    constructors: dict[str, dict[str, Any]] = {}
    for who in people:
        drivers[who.driver] = {"id": who.driver, "name": who.driver_name, "code": who.code}
        constructors[who.constructor] = {"id": who.constructor, "name": who.constructor_name}
    # Where one source knows a code and the other does not, the code stays.
    with_code = [row for row in drivers.values() if row["code"]]
    without = [{k: v for k, v in row.items() if k != "code"} for row in drivers.values() if not row["code"]]
    upsert(session, Driver, with_code)
    upsert(session, Driver, without, frozenset({"name"}))
    upsert(session, Constructor, list(constructors.values()))


def _save_races(session: Session, season: SeasonData) -> dict[int, int]:
    """Write the calendar and return race ids by round. A race that left the calendar goes if it was never
    run."""
    rows = [
        {
            "season": season.year,
            "round": race.round,
            "name": race.name,
            "circuit": race.circuit.id,
            "date": race.date,
            "laps": race.laps,
            "distance_km": race.distance_km,
        }
        for race in season.races
    ]
    statement = insert(RaceTable).values(rows)
    # Only the CSV files know laps and distance.
    changes = {name: statement.excluded[name] for name in ("name", "circuit", "date")} | {
        name: func.coalesce(statement.excluded[name], getattr(RaceTable, name))
        for name in ("laps", "distance_km")
    }
    session.execute(statement.on_conflict_do_update(index_elements=["season", "round"], set_=changes))
    session.execute(
        delete(RaceTable).where(
            RaceTable.season == season.year,
            RaceTable.round.not_in([race.round for race in season.races]),
            ~exists().where(Result.race_id == RaceTable.id),
        )
    )
    found = session.execute(select(RaceTable.round, RaceTable.id).where(RaceTable.season == season.year))
    return {round_: id_ for round_, id_ in found}


def _result(race_id: int, row: ResultRow) -> dict[str, Any]:
    return {
        "race_id": race_id,
        "driver": row.who.driver,
        "constructor": row.who.constructor,
        "position": row.position,
        "status": row.status,
        "grid": row.grid,
        "pit_lane": row.pit_lane,
        "laps": row.laps,
        "time": row.time,
        "reason": row.reason,
        "points": row.points,
    }


def _qualifying(race_id: int, row: QualifyingRow) -> dict[str, Any]:
    return {
        "race_id": race_id,
        "driver": row.who.driver,
        "constructor": row.who.constructor,
        "position": row.position,
        "q1": row.q1,
        "q2": row.q2,
        "q3": row.q3,
    }


def remove_demo(session: Session) -> int:
    """Delete all demonstration seasons with all that belongs to them; returns how many."""
    years = list(session.scalars(select(Season.year).where(Season.demo)))
    if years:
        session.execute(delete(RaceTable).where(RaceTable.season.in_(years)))
        session.execute(delete(Season).where(Season.year.in_(years)))
        for table in (Driver, Constructor, Circuit, IngestUnit, MonitoringReport, MonitoringFinding):
            session.execute(delete(table))
    return len(years)


def is_demo(session: Session) -> bool:
    """Whether the data is the simulator's."""
    return bool(session.scalar(select(exists().where(Season.demo))))


def journal(session: Session, source: str, unit: str) -> str | None:
    """Fingerprint under which a unit of an import was finished, None when it was not."""
    return session.scalar(
        select(IngestUnit.fingerprint).where(IngestUnit.source == source, IngestUnit.unit == unit)
    )


def journal_done(session: Session, source: str, unit: str, fingerprint: str, rows: int) -> None:
    """Note that a unit is finished."""
    entry = {
        "source": source,
        "unit": unit,
        "fingerprint": fingerprint,
        "rows": rows,
        "finished_at": func.now(),
    }
    upsert(session, IngestUnit, [entry])


def load_history(session: Session) -> list[RaceRecord]:
    """All races, run or not, in the order in which they are run."""
    results: dict[int, list[ResultRow]] = defaultdict(list)
    for row in session.scalars(select(Result)):
        results[row.race_id].append(
            ResultRow(
                0,
                _who(row),
                row.position,
                row.status,
                row.grid,
                row.pit_lane,
                row.points,
                row.laps,
                row.time,
            )
        )
    qualifying: dict[int, list[QualifyingRow]] = defaultdict(list)
    for lap in session.scalars(select(Qualifying)):
        qualifying[lap.race_id].append(QualifyingRow(0, _who(lap), lap.position, lap.q1, lap.q2, lap.q3))
    races = session.execute(
        select(RaceTable, Circuit.type, Weather.precipitation_mm)
        .join(Circuit, Circuit.id == RaceTable.circuit)
        .outerjoin(Weather, Weather.race_id == RaceTable.id)
    )
    return ordered(
        race_record(
            Race(race.season, race.round, race.date, race.name, race.circuit, kind, rain),
            results[race.id],
            qualifying[race.id],
        )
        for race, kind, rain in races
    )


def load_rounds(session: Session) -> list[Round]:
    """All races of the calendar, with who qualified and of whom there are results."""
    results: dict[int, set[str]] = defaultdict(set)
    won = set()
    for race_id, driver, position in session.execute(select(Result.race_id, Result.driver, Result.position)):
        results[race_id].add(driver)
        if position == 1:
            won.add(race_id)
    qualified: dict[int, set[str]] = defaultdict(set)
    for race_id, driver in session.execute(select(Qualifying.race_id, Qualifying.driver)):
        qualified[race_id].add(driver)
    return [
        Round(
            race.season,
            race.round,
            race.name,
            race.date,
            frozenset(qualified[race.id]),
            frozenset(results[race.id]),
            race.id in won,
        )
        for race in session.scalars(select(RaceTable).order_by(RaceTable.date))
    ]


def _who(row: Result | Qualifying) -> Who:
    return Who(row.driver, row.constructor, "", "")


def save_ratings(session: Session, history: Sequence[RaceRecord]) -> None:
    """ELO of drivers and constructors before and after every race that was run, written anew."""
    ids = race_ids(session)
    state = FeatureState()
    rows = []
    for record in history:
        if not record.run:
            continue
        race_id = ids[record.race.key]
        season = record.race.season
        drivers = sorted({o.driver for o in record.outcomes})
        constructors = sorted({o.constructor for o in record.outcomes})
        old_drivers = state.ratings(drivers, season)
        old_constructors = state.constructor_ratings(constructors, season)
        state.update(record)
        for kind, old, new in (
            ("driver", old_drivers, state.ratings(drivers, season)),
            ("constructor", old_constructors, state.constructor_ratings(constructors, season)),
        ):
            rows += [
                {
                    "race_id": race_id,
                    "kind": kind,
                    "entity": entity,
                    "before": old[entity],
                    "after": new[entity],
                }
                for entity in old
            ]
    session.execute(delete(Rating))
    upsert(session, Rating, rows)


def race_ids(session: Session) -> dict[tuple[int, int], int]:
    """Race ids by season and round."""
    return {
        (season, round_): id_
        for season, round_, id_ in session.execute(select(RaceTable.season, RaceTable.round, RaceTable.id))
    }


def save_predictions(session: Session, version: str, forecasts: Iterable[tuple[Forecast, dt.date]]) -> int:
    """Store forecasts, each with the date of the last race that its model had seen; returns how many rows.

    A forecast takes the place of an earlier one of the same race, stage and version as a whole.
    Raises ValueError for a race that is not after that date: it would not be a prediction.
    """
    ids = race_ids(session)
    rows = []
    forecasts = list(forecasts)
    for forecast, data_cutoff in forecasts:
        if forecast.race.date <= data_cutoff:
            raise ValueError(f"race {forecast.race.season}/{forecast.race.round} is not after {data_cutoff}")
        for rank, chance in enumerate(forecast.chances, start=1):
            baselines = {name: win[chance.driver] for name, win in forecast.baselines.items()}
            rows.append(
                {
                    "race_id": ids[forecast.race.key],
                    "stage": forecast.stage,
                    "model_version": version,
                    "driver": chance.driver,
                    "constructor": chance.constructor,
                    "grid": chance.grid,
                    "win": chance.win,
                    "podium": chance.podium,
                    "rank": rank,
                    "baseline_win": chance.baseline_win,
                    "baselines": baselines or None,
                    "contributions": chance.contributions,
                    "data_cutoff": data_cutoff,
                    "generated_at": func.now(),
                }
            )
    replaced = [(ids[forecast.race.key], forecast.stage, version) for forecast, _ in forecasts]
    for start in range(0, len(replaced), _CHUNK):
        names = tuple_(Prediction.race_id, Prediction.stage, Prediction.model_version)
        session.execute(delete(Prediction).where(names.in_(replaced[start : start + _CHUNK])))
    upsert(session, Prediction, rows)
    return len(rows)


def replace_backtest(session: Session, version: str, forecasts: Iterable[tuple[Forecast, dt.date]]) -> int:
    """Store walk-forward predictions of past races in place of those of earlier versions; returns how many
    rows.

    What was predicted before a race was run stays.
    """
    made_later = func.date(Prediction.generated_at) > RaceTable.date
    session.execute(delete(Prediction).where(Prediction.race_id == RaceTable.id, made_later))
    return save_predictions(session, version, forecasts)


def season_complete(session: Session, year: int) -> bool:
    """Whether every race of an ingested season has a winner."""
    races = select(RaceTable.id).where(RaceTable.season == year)
    missing = races.where(~exists().where(Result.race_id == RaceTable.id, Result.position == 1))
    return session.scalar(races.limit(1)) is not None and session.scalar(missing.limit(1)) is None


def races_without_weather(
    session: Session, since: int | None, today: dt.date, horizon: dt.timedelta
) -> list[tuple[int, dt.date, float, float]]:
    """Races with coordinates whose weather is not known or may have changed: id, date, latitude,
    longitude."""
    stale = Weather.precipitation_mm.is_(None) | (RaceTable.date >= today - dt.timedelta(days=1))
    statement = (
        select(RaceTable.id, RaceTable.date, Circuit.latitude, Circuit.longitude)
        .join(Circuit, Circuit.id == RaceTable.circuit)
        .outerjoin(Weather, Weather.race_id == RaceTable.id)
        .where(stale)
        .where(RaceTable.date <= today + horizon, RaceTable.season >= (since or 0))
        .order_by(RaceTable.date.desc())
    )
    return [
        (id_, date, latitude, longitude)
        for id_, date, latitude, longitude in session.execute(statement)
        if latitude is not None and longitude is not None
    ]


def save_weather(session: Session, race_id: int, weather: Reading | Unknown) -> None:
    """Store a reading, or why there is none. A reading that is known is not lost to a failure."""
    known = isinstance(weather, Reading)
    row = {
        "race_id": race_id,
        "precipitation_mm": weather.precipitation_mm if isinstance(weather, Reading) else None,
        "temperature_c": weather.temperature_c if isinstance(weather, Reading) else None,
        "wind_kph": weather.wind_kph if isinstance(weather, Reading) else None,
        "source": SOURCE,
        "unknown_because": None if isinstance(weather, Reading) else weather.because,
        "fetched_at": func.now(),
    }
    statement = insert(Weather).values(row)
    changes = {name: statement.excluded[name] for name in row if name != "race_id"}
    session.execute(
        statement.on_conflict_do_update(
            index_elements=["race_id"],
            set_=changes,
            where=None if known else Weather.precipitation_mm.is_(None),
        )
    )


def data_version(session: Session) -> str:
    """Changes with every import; what was computed from the data is good while it stays the same."""
    parts = session.execute(
        select(
            select(func.max(IngestUnit.finished_at)).scalar_subquery(),
            select(func.max(Weather.fetched_at)).scalar_subquery(),
        )
    ).one()
    return " ".join("" if part is None else part.isoformat() for part in parts)
