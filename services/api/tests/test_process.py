"""The service as a process of its own, on real sockets."""

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from servicekit.testing import Endpoints, Server, get_status, keep_alive_clients, running_server, wait_until
from tests.conftest import SECRET

pytestmark = pytest.mark.integration

StartServer = Callable[..., Server]


@pytest.fixture
def start_server(database_url: str, seeded: TestClient, tmp_path: Path) -> Iterator[StartServer]:
    environment = {
        "DATABASE_URL": database_url,
        "REDIS_URL": os.environ["REDIS_URL"],
        "JWT_SECRET_KEY": SECRET,
        "DRAIN_SECONDS": "6",
        "KEEP_ALIVE_LINGER_SECONDS": "60",
    }
    with ExitStack() as stack:

        def start(**variables: str) -> Server:
            log = str(tmp_path / f"server-{time.time_ns()}.log")
            return stack.enter_context(
                running_server(["-m", "recipes", "serve"], {**environment, **variables}, log)
            )

        yield start


def test_sigterm_under_load_loses_no_request(start_server: StartServer) -> None:
    leaving, staying = start_server(), start_server()
    endpoints = Endpoints([leaving, staying])
    with ExitStack() as stack:
        tallies = [
            stack.enter_context(keep_alive_clients(endpoints, path, [0.0, 0.02, 0.3, 1.0]))
            for path in ("/api/recipes?q=lemon", "/api/recipes/cacio-e-pepe", "/api/tags")
        ]

        def answered(more: int) -> None:
            enough = [tally.statuses[200] + more for tally in tallies]
            wait_until(
                lambda: all(tally.statuses[200] >= least for tally, least in zip(tallies, enough)), 120
            )

        answered(25)
        leaving.terminate()
        assert leaving.process.wait(120) == 0
        answered(25)
    for tally in tallies:
        assert tally.lost == []
        assert set(tally.statuses) == {200}


GARBAGE = [
    b"\x00\xff\x16\x03\x01",
    b"GET / HTTP/9.9\r\n\r\n",
    b"GET /api/recipes HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    b"GET /api/recipes HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 1_000_000 + b"\r\n\r\n",
    b"POST /api/recipes HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZZ\r\n",
    b"GET /api/recipes\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET http://[::1/api HTTP/1.1\r\nHost: x\r\n\r\n",
]


def test_garbage_on_the_wire(start_server: StartServer) -> None:
    server = start_server()
    for garbage in GARBAGE:
        with closing(socket.create_connection(("127.0.0.1", server.port), timeout=60)) as connection:
            try:
                connection.sendall(garbage)
                connection.shutdown(socket.SHUT_WR)
                answer = connection.recv(65_536)
            except (ConnectionResetError, BrokenPipeError):
                answer = b""
        assert not answer.startswith(b"HTTP/1.1 5"), (garbage[:80], answer)
        assert get_status(server.port, "/api/recipes") == 200
    assert '"level": "ERROR"' not in server.log()
