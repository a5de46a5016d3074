"""The Jolpica API (Ergast-compatible): calendars, results and qualifying, a season at a time."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Iterator
from typing import Any, TypeVar

from pydantic import BaseModel, Field, ValidationError

from f1.dataset import (
    CircuitRow,
    QualifyingRow,
    RaceRow,
    ResultRow,
    SeasonData,
    SourceError,
    Who,
    check,
)
from f1.history import Status
from f1.identities import CIRCUITS, circuit_id, constructor_id, driver_id
from f1.ingest.csvfiles import lap_time
from f1.ingest.http import JsonClient

log = logging.getLogger(__name__)

RULES = "4/second;500/hour"
PAGE = 100


class _Location(BaseModel):
    lat: float
    long: float


class _Circuit(BaseModel):
    circuitId: str
    circuitName: str
    location: _Location = Field(alias="Location")


class _Driver(BaseModel):
    driverId: str
    givenName: str
    familyName: str
    code: str | None = Field(default=None, max_length=3)


class _Constructor(BaseModel):
    constructorId: str
    name: str


class _Result(BaseModel):
    driver: _Driver = Field(alias="Driver")
    constructor: _Constructor = Field(alias="Constructor")
    position: int
    positionText: str
    points: float = Field(ge=0, le=100)
    grid: int = Field(ge=0, le=60)
    laps: int = Field(ge=0)
    status: str
    time: dict[str, str] | None = Field(default=None, alias="Time")


class _Qualifying(BaseModel):
    driver: _Driver = Field(alias="Driver")
    constructor: _Constructor = Field(alias="Constructor")
    position: int
    q1: str = Field(default="", alias="Q1")
    q2: str = Field(default="", alias="Q2")
    q3: str = Field(default="", alias="Q3")


class _Race(BaseModel):
    season: int
    round: int = Field(ge=1, le=40)
    raceName: str
    circuit: _Circuit = Field(alias="Circuit")
    date: dt.date
    results: list[_Result] = Field(default=[], alias="Results")
    qualifying: list[_Qualifying] = Field(default=[], alias="QualifyingResults")


class _RaceTable(BaseModel):
    races: list[_Race] = Field(alias="Races")


class _Page(BaseModel):
    total: int = Field(ge=0)
    limit: int = Field(ge=1)
    offset: int = Field(ge=0)
    table: _RaceTable = Field(alias="RaceTable")


class _Answer(BaseModel):
    data: _Page = Field(alias="MRData")


RowT = TypeVar("RowT", ResultRow, QualifyingRow)


class Jolpica:
    """Reads seasons through a paced client."""

    def __init__(self, client: JsonClient, base_url: str) -> None:
        self._client, self._base = client, base_url.rstrip("/")

    def season(self, year: int) -> SeasonData:
        """A season: races to come have no results. Raises SourceError when the answers do not fit."""
        calendar = [_race_row(race) for race in self._races(year, "races")]
        results = [
            row
            for race in self._races(year, "results")
            for row in (_result_row(race.round, result, year) for result in race.results)
        ]
        qualifying = [
            row
            for race in self._races(year, "qualifying")
            for row in (_qualifying_row(race.round, lap, year) for lap in race.qualifying)
        ]
        rounds = {race.round for race in calendar}
        season = SeasonData(
            year,
            tuple(sorted(calendar, key=lambda race: race.round)),
            _unique(results, rounds, f"results of {year}"),
            _unique(qualifying, rounds, f"qualifying of {year}"),
        )
        for odd in check(season):
            log.warning(odd)
        return season

    def _races(self, year: int, what: str) -> Iterator[_Race]:
        """All races of all pages. A race may be cut in two by the end of a page."""
        url = f"{self._base}/{year}/{what}/"
        offset = 0
        while True:
            page = _parsed(self._client.get(url, {"limit": PAGE, "offset": offset}), url).data
            for race in page.table.races:
                if race.season != year:
                    raise SourceError(f"{url}: a race of season {race.season}, asked for {year}")
                yield race
            # The server may serve smaller pages than were asked for.
            offset = page.offset + page.limit
            if offset >= page.total:
                return
            if not page.table.races:
                raise SourceError(f"{url}: page at {page.offset} of {page.total} is empty")


def _parsed(answer: dict[str, Any], url: str) -> _Answer:
    try:
        return _Answer.model_validate(answer)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise SourceError(f"{url}: {where}: {first['msg']}") from error


def _unique(rows: list[RowT], rounds: set[int], what: str) -> tuple[RowT, ...]:
    unique: dict[tuple[int, str], RowT] = {}
    for row in rows:
        key = (row.round, row.who.driver)
        # A page boundary that moved while reading repeats a row; two that differ contradict each other.
        if unique.setdefault(key, row) != row:
            raise SourceError(f"{what}: two rows of {row.who.driver} in round {row.round} that differ")
    unknown = {row.round for row in rows} - rounds
    if unknown:
        raise SourceError(f"{what}: rounds {sorted(unknown)} are not in the calendar")
    return tuple(unique.values())


def _race_row(race: _Race) -> RaceRow:
    circuit = circuit_id(race.circuit.circuitId)
    known = CIRCUITS.get(circuit)
    row = CircuitRow(
        circuit,
        race.circuit.circuitName,
        # The API does not say what kind of circuit it is; a new one counts as a permanent one until listed.
        known.type if known else "RACE",
        race.circuit.location.lat,
        race.circuit.location.long,
    )
    return RaceRow(race.round, race.raceName, row, race.date)


def _who(driver: _Driver, constructor: _Constructor, year: int) -> Who:
    name = f"{driver.givenName} {driver.familyName}"
    return Who(
        driver_id(name), constructor_id(constructor.constructorId, year), name, constructor.name, driver.code
    )


def _result_row(round_: int, row: _Result, year: int) -> ResultRow:
    position, status = _outcome(row)
    # Grid 0 is a start from the pit lane, or no start at all.
    took_part = status not in {"dns", "dnq"}
    return ResultRow(
        round_,
        _who(row.driver, row.constructor, year),
        position,
        status,
        row.grid or None,
        row.grid == 0 and took_part,
        row.points,
        row.laps,
        (row.time or {}).get("time"),
        None if position is not None or row.status == "Retired" else row.status[:120],
    )


def _outcome(row: _Result) -> tuple[int | None, Status]:
    """`positionText`: a place, or R retired, D disqualified, E excluded, W withdrawn, F did not qualify, N
    not
    classified. `status` tells who did not start."""
    if row.positionText.isdigit():
        return int(row.positionText), "finished"
    if row.positionText == "W" or "did not start" in row.status.lower():
        return None, "dns"
    letters: dict[str, Status] = {"R": "dnf", "D": "dsq", "E": "dsq", "F": "dnq", "N": "nc"}
    if row.positionText not in letters:
        raise SourceError(f"positionText {row.positionText!r}: a place or one of R, D, E, W, F, N is allowed")
    return None, letters[row.positionText]


def _qualifying_row(round_: int, row: _Qualifying, year: int) -> QualifyingRow:
    times = []
    for text in (row.q1, row.q2, row.q3):
        try:
            times.append(lap_time(text) if text else None)
        except ValueError:
            raise SourceError(f"qualifying of {year}/{round_}: {text!r} is not a lap time") from None
    return QualifyingRow(round_, _who(row.driver, row.constructor, year), row.position, *times)
