"""What the services' tests share: real databases, real processes, clients that never retry."""

import http.client
import itertools
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from types import ModuleType
from typing import IO

import pytest
from alembic import command
from sqlalchemy import create_engine, inspect, make_url, text
from sqlalchemy.pool import NullPool

from servicekit import migrations
from servicekit.settings import ServiceSettings, sqlalchemy_url

_POLL_SECONDS = 0.05
_CLIENT_TIMEOUT_SECONDS = 30.0
# A busy machine takes its time.
_START_SECONDS = 90.0

# Limits that no test reaches on a busy machine, for each test that is not about the limit.
PATIENT: Mapping[str, int] = {
    "db_pool_timeout_seconds": 60,
    "db_connect_timeout_seconds": 60,
    "db_statement_timeout_ms": 600_000,
    "redis_timeout_seconds": 10,
}
PATIENT_CHECK_SECONDS = 60.0


def skip_without_services(items: Sequence[pytest.Item]) -> None:
    """Skips tests marked `integration` when the environment names no PostgreSQL and Redis."""
    missing = [name for name in ("DATABASE_URL", "REDIS_URL") if not os.environ.get(name)]
    if missing:
        skip = pytest.mark.skip(reason=f"needs {' and '.join(missing)} in the environment")
        for item in items:
            if item.get_closest_marker("integration"):
                item.add_marker(skip)


@contextmanager
def temporary_database(server_url: str) -> Iterator[str]:
    """The address of a new, empty database on the server, dropped at the end."""
    name = f"test_{secrets.token_hex(6)}"
    engine = create_engine(sqlalchemy_url(server_url), poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    try:
        yield make_url(server_url).set(database=name).render_as_string(hide_password=False)
    finally:
        with engine.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))


def check_migrations(settings: ServiceSettings, package: ModuleType, tables: Collection[str]) -> None:
    """On an empty database: up makes `tables` as the models have them, down to base leaves nothing, up again
    works. Twice, and at the end the database is up."""
    config = migrations.alembic_config(settings, package)
    engine = create_engine(settings.sqlalchemy_url, poolclass=NullPool)
    for _ in range(2):
        migrations.upgrade(settings, package)
        command.check(config)
        assert set(tables) <= set(inspect(engine).get_table_names())
        migrations.downgrade(settings, package, "base")
        assert inspect(engine).get_table_names() == ["alembic_version"]
    migrations.upgrade(settings, package)


def free_port() -> int:
    """A TCP port on loopback that nothing listens on."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    """Returns as soon as the condition holds; fails when it does not within `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"not so within {seconds} s: {condition}")
        time.sleep(_POLL_SECONDS)


def get_status(port: int, path: str) -> int:
    """The status of one GET on loopback; 0 when the connection fails."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


@dataclass
class Server:
    """A service running in a process of its own."""

    port: int
    process: subprocess.Popen[str]
    output: IO[str]

    def terminate(self) -> None:
        """Sends SIGTERM and returns at once."""
        self.process.send_signal(signal.SIGTERM)

    def log(self) -> str:
        """All that the process has printed so far."""
        # Reading `output` itself would move the place at which the process writes.
        with open(self.output.name, encoding="utf-8") as log:
            return log.read()


@contextmanager
def running_server(
    arguments: Sequence[str], environment: Mapping[str, str], log_path: str
) -> Iterator[Server]:
    """Runs `python <arguments>` with PORT set until it answers /health/live; kills it at the end."""
    port = free_port()
    python_path = os.pathsep.join(path for path in sys.path if path)
    variables = {
        **os.environ,
        "PYTHONPATH": python_path,
        "PORT": str(port),
        "HOST": "127.0.0.1",
        **{name.upper(): str(value) for name, value in PATIENT.items()},
        **environment,
    }
    with open(log_path, "w+", encoding="utf-8") as output:
        process = subprocess.Popen(
            [sys.executable, *arguments], env=variables, stdout=output, stderr=subprocess.STDOUT, text=True
        )
        server = Server(port, process, output)
        try:
            wait_until(
                lambda: process.poll() is not None or get_status(port, "/health/live") == 200, _START_SECONDS
            )
            assert process.poll() is None, server.log()
            yield server
        finally:
            process.kill()
            process.wait()


@dataclass
class Endpoints:
    """The ports of the servers that are ready, as a load balancer knows them: a little late."""

    servers: Sequence[Server]
    check_every_seconds: float = 0.3
    ready: list[int] = field(default_factory=list)

    def watch(self, stop: threading.Event) -> None:
        """Asks each server's readiness again and again."""
        while not stop.is_set():
            answers = {server.port: get_status(server.port, "/health/ready") for server in self.servers}
            self.ready = [port for port, status in answers.items() if status == 200]
            stop.wait(self.check_every_seconds)


@dataclass
class Tally:
    """What became of the requests: how many had each status, and each one that got no answer."""

    statuses: Counter[int] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)


@contextmanager
def keep_alive_clients(endpoints: Endpoints, path: str, think_seconds: Sequence[float]) -> Iterator[Tally]:
    """Clients, one for each think time, that send GETs over keep-alive connections and retry nothing.

    They leave a connection only when an answer says `Connection: close`, and connect to a server that is
    ready. Any request without an answer is lost.
    """
    tally = Tally()
    stop = threading.Event()
    turns = itertools.count()
    lock = threading.Lock()

    def connect() -> http.client.HTTPConnection:
        # A check that took too long makes a server unready for a moment.
        while not (ready := endpoints.ready):
            time.sleep(_POLL_SECONDS)
        return http.client.HTTPConnection(
            "127.0.0.1", ready[next(turns) % len(ready)], timeout=_CLIENT_TIMEOUT_SECONDS
        )

    def client(think: float) -> None:
        connection = connect()
        while not stop.is_set():
            try:
                connection.request("GET", path)
                response = connection.getresponse()
                response.read()
            except (OSError, http.client.HTTPException) as error:
                with lock:
                    tally.lost.append(f"port {connection.port}, think {think}: {error!r}")
                connection.close()
                connection = connect()
                continue
            with lock:
                tally.statuses[response.status] += 1
            if response.will_close:
                connection.close()
                connection = connect()
            stop.wait(think)
        connection.close()

    watcher = threading.Thread(target=endpoints.watch, args=(stop,))
    watcher.start()
    wait_until(lambda: len(endpoints.ready) == len(endpoints.servers))
    threads = [threading.Thread(target=client, args=(think,)) for think in think_seconds]
    for thread in threads:
        thread.start()
    try:
        yield tally
    finally:
        stop.set()
        for thread in [watcher, *threads]:
            thread.join()


class TcpProxy:
    """A way to a server that can be cut, so that a test can take the server away and give it back."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._sockets: set[socket.socket] = set()
        self._stalled = threading.Event()
        self.port = free_port()
        self._listener: socket.socket | None = None
        self.restore()

    def restore(self) -> None:
        """Listens and forwards again."""
        self._stalled.clear()
        if self._listener is None:
            self._listener = socket.create_server(("127.0.0.1", self.port))
            threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def cut(self) -> None:
        """Ends all connections and refuses new ones, like a server that was killed."""
        if self._listener is not None:
            # Closing alone would not wake the thread that accepts.
            with suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        for each in list(self._sockets):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def stall(self) -> None:
        """Takes connections and requests but passes nothing on, like a server that hangs."""
        self._stalled.set()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = socket.create_connection(self._target)
                self._sockets |= {client, server}
                for source, sink in ((client, server), (server, client)):
                    threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                if not self._stalled.is_set():
                    sink.sendall(data)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR)
        source.close()
        self._sockets.discard(source)
