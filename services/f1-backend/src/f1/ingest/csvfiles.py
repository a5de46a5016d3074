"""The three CSV files races.csv, results.csv and qualifying.csv, checked line by line."""

from __future__ import annotations

import csv
import datetime as dt
import logging
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from f1.dataset import (
    CircuitRow,
    QualifyingRow,
    RaceRow,
    ResultRow,
    SeasonData,
    SourceError,
    Who,
    check,
    merged,
)
from f1.history import Status
from f1.identities import CIRCUITS, circuit_id, constructor_id, driver_id, title

log = logging.getLogger(__name__)

RACES = ("season", "round", "date", "grand_prix", "circuit", "circuit_type", "laps", "distance_km")
RESULTS = (
    "season", "round", "position", "driver", "constructor", "grid", "laps", "time",
    "reason_retired", "points",
)  # fmt: skip
QUALIFYING = ("season", "round", "position", "driver", "constructor", "q1", "q2", "q3")

_STATUSES: dict[str, Status] = {
    "DNF": "dnf", "DNS": "dns", "DSQ": "dsq", "NC": "nc", "DNQ": "dnq", "DNP": "dnp",
    "EX": "dsq", "DNPQ": "dnq",
}  # fmt: skip
_LAP = re.compile(r"(?:(\d{1,2}):)?(\d{1,2})\.(\d{3})")
_SLUG = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")

T = TypeVar("T")


class _Line:
    """A line of a file whose cells are read with a check each."""

    def __init__(self, path: Path, number: int, cells: dict[str, str]) -> None:
        self.path, self.number, self.cells = path, number, cells

    def error(self, column: str, allowed: str) -> SourceError:
        found = self.cells[column]
        return SourceError(
            f"{self.path.name} line {self.number}, column {column}: {allowed}, found {found!r}"
        )

    def read(self, column: str, parse: Callable[[str], T], allowed: str) -> T:
        try:
            return parse(self.cells[column])
        except ValueError:
            raise self.error(column, allowed) from None

    def number_in(self, column: str, low: int, high: int) -> int:
        return self.read(
            column, lambda text: _integer(text, low, high), f"a whole number from {low} to {high}"
        )

    def optional(self, column: str, parse: Callable[[str], T], allowed: str) -> T | None:
        return self.read(column, lambda text: parse(text) if text else None, f"{allowed}, or nothing")

    def text(self, column: str) -> str | None:
        return self.cells[column] or None

    def slug(self, column: str) -> str:
        return self.read(column, _slug, "a slug like max-verstappen")

    def lap(self, column: str) -> int | None:
        return self.optional(column, lap_time, "a lap time like 1:23.456")

    @property
    def race(self) -> tuple[int, int]:
        return self.number_in("season", 1950, 2100), self.number_in("round", 1, 40)

    def who(self, season: int) -> Who:
        driver, constructor = driver_id(self.slug("driver")), constructor_id(self.slug("constructor"), season)
        return Who(driver, constructor, title(driver), title(constructor))

    def position(self) -> tuple[int | None, Status]:
        text = self.cells["position"]
        if text in _STATUSES:
            return None, _STATUSES[text]
        allowed = f"a place from 1 to 60 or one of {', '.join(_STATUSES)}"
        return self.read("position", lambda text: _integer(text, 1, 60), allowed), "finished"


def _integer(text: str, low: int, high: int) -> int:
    value = int(text) if text.isascii() and text.isdigit() else low - 1
    if not low <= value <= high:
        raise ValueError(text)
    return value


def _decimal(low: float, high: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        value = float(text)
        if not low <= value <= high:
            raise ValueError(text)
        return value

    return parse


def _slug(text: str) -> str:
    if len(text) > 64 or not _SLUG.fullmatch(text):
        raise ValueError(text)
    return text


def lap_time(text: str) -> int:
    """Milliseconds of a lap like 1:23.456 or 54.321. Raises ValueError for anything else."""
    match = _LAP.fullmatch(text)
    if not match:
        raise ValueError(text)
    minutes, seconds, thousandths = match.groups()
    return (int(minutes or 0) * 60 + int(seconds)) * 1000 + int(thousandths)


def _lines(path: Path, columns: tuple[str, ...]) -> Iterator[_Line]:
    try:
        handle = path.open(encoding="utf-8-sig", newline="")
    except OSError as error:
        raise SourceError(
            f"{path.name}: cannot be read ({error.strerror}); expected in {path.parent}"
        ) from error
    with handle:
        reader = csv.reader(handle, strict=True)
        try:
            header = next(reader, [])
            missing = [column for column in columns if column not in header]
            if missing:
                raise SourceError(
                    f"{path.name} line 1: columns {', '.join(missing)} are missing; "
                    f"needed are {', '.join(columns)}"
                )
            for cells in reader:
                if not cells:
                    # A blank line, as editors leave one at the end.
                    continue
                if len(cells) != len(header):
                    raise SourceError(
                        f"{path.name} line {reader.line_num}: {len(header)} cells are needed, "
                        f"found {len(cells)}"
                    )
                yield _Line(path, reader.line_num, dict(zip(header, (c.strip() for c in cells), strict=True)))
        except UnicodeDecodeError as error:
            raise SourceError(f"{path.name}: not UTF-8 text (byte {error.start})") from error
        except csv.Error as error:
            raise SourceError(f"{path.name} line {reader.line_num}: not CSV ({error})") from error


def _race(line: _Line) -> RaceRow:
    circuit = circuit_id(line.slug("circuit"))
    kind = line.cells["circuit_type"]
    if kind not in {"RACE", "STREET", "ROAD"}:
        raise line.error("circuit_type", "one of RACE, STREET, ROAD")
    known = CIRCUITS.get(circuit)
    return RaceRow(
        line.number_in("round", 1, 40),
        f"{title(line.slug('grand_prix'))} Grand Prix",
        CircuitRow(
            circuit,
            known.name if known else title(circuit),
            kind,
            known.latitude if known else None,
            known.longitude if known else None,
        ),
        line.read("date", dt.date.fromisoformat, "a date like 2024-03-02"),
        line.optional("laps", lambda text: _integer(text, 1, 500), "a whole number from 1 to 500"),
        line.optional("distance_km", _decimal(1, 1000), "a number from 1 to 1000"),
    )


def _result(line: _Line, season: int) -> ResultRow:
    position, status = line.position()
    grid_text = line.cells["grid"]
    grid = None
    if grid_text not in {"", "PL"}:
        grid = line.read("grid", lambda text: _integer(text, 1, 60), "a place from 1 to 60, PL, or nothing")
    return ResultRow(
        line.number_in("round", 1, 40),
        line.who(season),
        position,
        status,
        grid,
        grid_text == "PL",
        line.optional("points", _decimal(0, 100), "a number from 0 to 100") or 0.0,
        line.optional("laps", lambda text: _integer(text, 0, 500), "a whole number from 0 to 500"),
        line.text("time"),
        line.text("reason_retired"),
    )


def _qualifying(line: _Line, season: int) -> QualifyingRow:
    position, _ = line.position()
    return QualifyingRow(
        line.number_in("round", 1, 40),
        line.who(season),
        position,
        line.lap("q1"),
        line.lap("q2"),
        line.lap("q3"),
    )


def read(folder: Path) -> list[SeasonData]:
    """The seasons in a folder's three files, oldest first.

    Blank lines are skipped. What is odd (`dataset.check`) is logged.
    Raises SourceError naming file, line, column, what was found and what is allowed; nothing is read past it.
    """
    races: dict[tuple[int, int], RaceRow] = {}
    for line in _lines(folder / "races.csv", RACES):
        if line.race in races:
            raise line.error("round", "each season and round once")
        races[line.race] = _race(line)
    results: dict[int, list[ResultRow]] = defaultdict(list)
    seen: set[tuple[tuple[int, int], str]] = set()
    for line in _lines(folder / "results.csv", RESULTS):
        season = _of_calendar(line, races)
        row = _result(line, season)
        driver, place = (line.race, row.who.driver), (line.race, f"place {row.position}")
        if driver in seen:
            raise line.error("driver", "each driver once in a race")
        if row.position is not None and place in seen:
            raise line.error("position", "each place once in a race")
        seen |= {driver, place}
        results[season].append(row)
    qualifying: dict[tuple[int, int, str], QualifyingRow] = {}
    for line in _lines(folder / "qualifying.csv", QUALIFYING):
        season = _of_calendar(line, races)
        lap = _qualifying(line, season)
        key = (season, lap.round, lap.who.driver)
        both = merged(qualifying[key], lap) if key in qualifying else lap
        if both is None:
            raise line.error("driver", "rows of one driver in a session that agree on car and times")
        qualifying[key] = both
    seasons = [
        SeasonData(
            year,
            tuple(row for (season, _), row in sorted(races.items()) if season == year),
            tuple(results[year]),
            tuple(row for (season, _, _), row in qualifying.items() if season == year),
        )
        for year in sorted({season for season, _ in races})
    ]
    for season_data in seasons:
        for odd in check(season_data):
            log.warning(odd)
    return seasons


def _of_calendar(line: _Line, races: dict[tuple[int, int], RaceRow]) -> int:
    if line.race not in races:
        raise line.error("round", f"a round of season {line.race[0]} that races.csv lists")
    return line.race[0]
