"""A Jolpica and weather server of recorded shapes for the tests, with the bad days of a real one."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

CIRCUITS = {
    1: ("bahrain", "Bahrain International Circuit", "26.0325", "50.5106"),
    2: ("jeddah", "Jeddah Corniche Circuit", "21.6319", "39.1044"),
    3: ("albert_park", "Albert Park Grand Prix Circuit", "-37.8497", "144.968"),
}
GRID = [
    ("max_verstappen", "VER", "Max", "Verstappen", "red_bull", "Red Bull"),
    ("perez", "PER", "Sergio", "Pérez", "red_bull", "Red Bull"),
    ("sainz", "SAI", "Carlos", "Sainz", "ferrari", "Ferrari"),
    ("hulkenberg", "HUL", "Nico", "Hülkenberg", "haas", "Haas F1 Team"),
    ("zhou", "ZHO", "Guanyu", "Zhou", "sauber", "Sauber"),
]


def _driver(row: tuple[str, ...]) -> dict[str, str]:
    return {"driverId": row[0], "code": row[1], "givenName": row[2], "familyName": row[3], "nationality": "x"}


def _race(season: int, round_: int) -> dict[str, Any]:
    circuit, name, lat, long = CIRCUITS[round_]
    return {
        "season": str(season),
        "round": str(round_),
        "url": "http://en.wikipedia.org/",
        "raceName": f"Round {round_} Grand Prix",
        "Circuit": {
            "circuitId": circuit,
            "circuitName": name,
            "Location": {"lat": lat, "long": long, "locality": "x", "country": "x"},
        },
        "date": f"{season}-03-{1 + 7 * round_:02d}",
        "time": "15:00:00Z",
    }


def _result(place: int, row: tuple[str, ...]) -> dict[str, Any]:
    text, status = {4: ("R", "Engine"), 5: ("W", "Withdrew")}.get(place, (str(place), "Finished"))
    result: dict[str, Any] = {
        "number": "1",
        "position": str(place),
        "positionText": text,
        "points": str(max(0, 25 - 7 * (place - 1)) if text.isdigit() else 0),
        "Driver": _driver(row),
        "Constructor": {"constructorId": row[4], "name": row[5], "nationality": "x"},
        # The second starts from the pit lane.
        "grid": "0" if place in {2, 5} else str(place),
        "laps": "57" if text.isdigit() else "12",
        "status": status,
    }
    if place == 1:
        result["Time"] = {"millis": "5636736", "time": "1:33:56.736"}
    return result


def _qualifying(place: int, row: tuple[str, ...]) -> dict[str, Any]:
    lap = {"Q1": f"1:31.{200 + place}"}
    if place < 4:
        lap |= {"Q2": f"1:30.{200 + place}", "Q3": f"1:29.{700 + place}"}
    return {
        "number": "1",
        "position": str(place),
        "Driver": _driver(row),
        "Constructor": {"constructorId": row[4], "name": row[5], "nationality": "x"},
        **lap,
    }


@dataclass
class Replay:
    """What the server knows and how it behaves. `script` is one behaviour a request, then it answers well.
    A "silent" answer, and the rest of an "unfinished" one, does not come before the server ends."""

    season: int = 2024
    completed: int = 2
    page_limit: int = 100
    script: list[str] = field(default_factory=list)
    always: str = ""
    requests: list[tuple[str, dict[str, list[str]], dict[str, str]]] = field(default_factory=list)
    changes: dict[str, Any] = field(default_factory=dict)
    weather: dict[str, Any] = field(
        default_factory=lambda: {
            "daily": {
                "time": ["2024-03-08"],
                "precipitation_sum": [2.5],
                "temperature_2m_mean": [23.1],
                "wind_speed_10m_max": [14.0],
            }
        }
    )
    url: str = ""
    over: threading.Event = field(default_factory=threading.Event)

    def rows(self, what: str, season: int) -> list[tuple[int, dict[str, Any] | None]]:
        """Every row of a table with the round it belongs to."""
        if what == "races":
            return [(round_, None) for round_ in CIRCUITS]
        make = _result if what == "results" else _qualifying
        drivers = [row if season >= 2024 else (*row[:4], row[4], row[5]) for row in GRID]
        return [
            (round_, make(place, row))
            for round_ in range(1, self.completed + 1)
            for place, row in enumerate(drivers, start=1)
        ]

    def page(self, path: str, query: dict[str, list[str]]) -> dict[str, Any]:
        """A page as Jolpica cuts it: by rows, so that a race may be split."""
        season, what = path.strip("/").split("/")[-2:]
        limit = min(int(query["limit"][0]), self.page_limit)
        offset = int(query["offset"][0])
        rows = self.rows(what, int(season))
        races: dict[int, dict[str, Any]] = {}
        for round_, row in rows[offset : offset + limit]:
            race = races.setdefault(round_, _race(int(season), round_))
            if row is not None:
                race.setdefault({"results": "Results", "qualifying": "QualifyingResults"}[what], []).append(
                    row
                )
        data = {
            "xmlns": "",
            "series": "f1",
            "limit": str(limit),
            "offset": str(offset),
            "total": str(len(rows)),
            "RaceTable": {"season": season, "Races": list(races.values())},
        }
        return {"MRData": {**data, **self.changes}}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    replay: Replay

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = parse_qs(parts.query)
        self.replay.requests.append((parts.path, query, dict(self.headers)))
        behaviour = self.replay.script.pop(0) if self.replay.script else self.replay.always
        body = json.dumps(
            self.replay.weather if "weather" in parts.path else self.replay.page(parts.path, query)
        ).encode()
        if behaviour == "hang up":
            self.close_connection = True
            return
        if behaviour == "truncated":
            self._send(200, body, claimed=len(body) + 100)
            return
        if behaviour in {"silent", "unfinished"}:
            if behaviour == "unfinished":
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body[:40])
            self.replay.over.wait()
            self.close_connection = True
            return
        if not re.fullmatch(r"|html|half|list|\d{3}( \d+)?", behaviour):
            raise ValueError(f"no such behaviour: {behaviour}")
        bodies = {"html": b"<html>maintenance</html>", "half": body[: len(body) // 2], "list": b"[1]"}
        status = int(behaviour.split()[0]) if behaviour[:3].isdigit() else 200
        retry_after = behaviour.split()[1] if status != 200 and " " in behaviour else None
        self._send(status, bodies.get(behaviour, body), retry_after)

    def _send(
        self, status: int, body: bytes, retry_after: str | None = None, claimed: int | None = None
    ) -> None:
        try:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(claimed or len(body)))
            if retry_after:
                self.send_header("Retry-After", retry_after)
            self.end_headers()
            self.wfile.write(body)
        except ConnectionError:
            # A client that gave up waiting is part of the tests.
            self.close_connection = True
        if claimed:
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """The tests look at `requests` instead."""


@contextmanager
def replaying(**values: Any) -> Iterator[Replay]:
    """A running server; its address is in `url`."""
    state = Replay(**values)
    handler = type("Handler", (_Handler,), {"replay": state})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    state.url = f"http://127.0.0.1:{server.server_address[1]}/ergast/f1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield state
    finally:
        state.over.set()
        server.shutdown()
        thread.join()
        server.server_close()
