"""p50 and p95 of the prediction endpoint with and without the Redis cache, and of the features of one race.

Two servers on loopback, equal but for Redis, are asked in turns, so that both see the same machine.
Needs DATABASE_URL (with data), REDIS_URL, JWT_SECRET_KEY and MODEL_DIR in the environment. From the
service's folder:

    PYTHONPATH=src:../servicekit/src python benchmarks/prediction.py --requests 300
"""

import argparse
import http.client
import os
import statistics
import tempfile
import time

from f1 import store
from f1.features import replay
from f1.forecast import line_up
from f1.settings import Settings
from servicekit.database import Database
from servicekit.settings import load_settings
from servicekit.testing import Server, running_server

PATH = "/api/f1/races/next"
# Nothing listens there: the server goes to the database each time.
NO_REDIS = "redis://127.0.0.1:1/0"
WARM_UP = 10


def measure(servers: dict[str, Server], requests: int) -> dict[str, list[float]]:
    """Milliseconds of each request, by server."""
    connections = {
        name: http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        for name, server in servers.items()
    }
    times: dict[str, list[float]] = {name: [] for name in servers}
    for number in range(requests + WARM_UP):
        for name, connection in connections.items():
            started = time.perf_counter()
            connection.request("GET", PATH)
            response = connection.getresponse()
            body = response.read()
            elapsed = (time.perf_counter() - started) * 1000
            if response.status != 200:
                raise SystemExit(f"{name}: status {response.status}: {body[:300]!r}")
            if number >= WARM_UP:
                times[name].append(elapsed)
    return times


def features_of_the_next_race(settings: Settings, repeats: int) -> list[float]:
    """Milliseconds of computing the features of the next race from the state after the last one."""
    database = Database(settings)
    with database.session() as session:
        history = store.load_history(session)
    database.close()
    coming = next(record for record in history if not record.run)
    state = replay(record for record in history if record.run)
    found = line_up(coming, history)
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        state.features(coming.race, found.entries, found.stage)
        times.append((time.perf_counter() - started) * 1000)
    return times


def row(name: str, times: list[float]) -> str:
    """A line of the table."""
    cuts = statistics.quantiles(times, n=100)
    return f"| {name} | {cuts[49]:.1f} | {cuts[94]:.1f} | {len(times)} |"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=300, help="how many for each server")
    arguments = parser.parse_args()
    settings = load_settings(Settings)
    with tempfile.TemporaryDirectory() as logs:
        with (
            running_server(["-m", "f1", "serve"], {}, os.path.join(logs, "cached.log")) as cached,
            running_server(
                ["-m", "f1", "serve"], {"REDIS_URL": NO_REDIS}, os.path.join(logs, "plain.log")
            ) as plain,
        ):
            times = measure({"with Redis": cached, "without Redis": plain}, arguments.requests)
    print("| | p50 ms | p95 ms | n |\n| --- | --- | --- | --- |")
    for name, values in times.items():
        print(row(f"GET {PATH}, {name}", values))
    print(row("features of one race", features_of_the_next_race(settings, arguments.requests)))


if __name__ == "__main__":
    main()
