import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from servicekit.testing import Endpoints, Server, get_status, keep_alive_clients, running_server, wait_until
from tests.conftest import NOWHERE, SECRET

StartServer = Callable[..., Server]


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[StartServer]:
    environment = {
        "DATABASE_URL": "postgresql://127.0.0.1:1/none",
        "REDIS_URL": NOWHERE,
        "JWT_SECRET_KEY": SECRET,
        "WORKER_THREADS": "40",
    }
    with ExitStack() as stack:

        def start(**variables: str) -> Server:
            log = str(tmp_path / f"server-{time.time_ns()}.log")
            return stack.enter_context(
                running_server(["-m", "tests.sample.serve"], {**environment, **variables}, log)
            )

        yield start


def _messages(server: Server) -> list[str]:
    lines = [line for line in server.log().splitlines() if line.startswith("{")]
    return [json.loads(line)["message"] for line in lines]


def test_sigterm_under_load_loses_no_request(start_server: StartServer) -> None:
    # Clients on a busy machine may hear of it late.
    timing = {"DRAIN_SECONDS": "6", "KEEP_ALIVE_LINGER_SECONDS": "60"}
    leaving, staying = start_server(**timing), start_server(**timing)
    endpoints = Endpoints([leaving, staying])
    # From clients that never pause to one that is silent for longer than the drain takes.
    thinking = [0.0, 0.0, 0.01, 0.05, 0.1, 0.2, 0.7, 8.0]
    with ExitStack() as clients:
        fast = clients.enter_context(keep_alive_clients(endpoints, "/fast", thinking))
        slow = clients.enter_context(keep_alive_clients(endpoints, "/slow", [0.0] * 4))

        def answered(more_fast: int, more_slow: int) -> None:
            enough = (fast.statuses[200] + more_fast, slow.statuses[200] + more_slow)
            wait_until(lambda: fast.statuses[200] >= enough[0] and slow.statuses[200] >= enough[1], 120)

        answered(250, 4)
        leaving.terminate()
        assert leaving.process.wait(120) == 0
        answered(250, 4)
    assert fast.lost == []
    assert slow.lost == []
    assert set(fast.statuses) == {200}
    assert set(slow.statuses) == {200}
    assert "pools closed" in leaving.log()


def test_a_kill_under_load_is_noticed_by_the_clients(start_server: StartServer) -> None:
    """The test above would see a lost request."""
    killed, staying = start_server(), start_server()
    with keep_alive_clients(Endpoints([killed, staying]), "/slow", [0.0] * 4) as tally:
        wait_until(lambda: tally.statuses[200] > 4, 120)
        killed.process.kill()
        wait_until(lambda: len(tally.lost) > 0, 120)


def test_draining_is_unready_but_serves(start_server: StartServer) -> None:
    server = start_server(DRAIN_SECONDS="120", KEEP_ALIVE_LINGER_SECONDS="0")
    assert get_status(server.port, "/health/ready") == 200
    server.terminate()
    wait_until(lambda: get_status(server.port, "/health/ready") == 503)
    with closing(http.client.HTTPConnection("127.0.0.1", server.port)) as connection:
        connection.request("GET", "/fast")
        response = connection.getresponse()
        assert (response.status, response.headers["connection"]) == (200, "close")
    server.terminate()
    assert server.process.wait(60) == 0
    assert get_status(server.port, "/fast") == 0


def test_a_connection_that_was_silent_while_draining_may_send_one_more(start_server: StartServer) -> None:
    server = start_server(DRAIN_SECONDS="0.5", KEEP_ALIVE_LINGER_SECONDS="120")
    with closing(http.client.HTTPConnection("127.0.0.1", server.port)) as connection:
        connection.request("GET", "/fast")
        connection.getresponse().read()
        server.terminate()
        # Until nothing listens any more, which is after the drain.
        wait_until(lambda: get_status(server.port, "/health/live") == 0, 60)
        connection.request("GET", "/fast")
        response = connection.getresponse()
        assert (response.status, response.headers["connection"]) == (200, "close")
    assert server.process.wait(60) == 0


def test_what_is_in_flight_at_the_end_is_finished(start_server: StartServer) -> None:
    server = start_server(DRAIN_SECONDS="0")
    statuses: list[int] = []
    asking = threading.Thread(target=lambda: statuses.append(get_status(server.port, "/slow")))
    asking.start()
    wait_until(lambda: "slow has begun" in server.log())
    server.terminate()
    asking.join()
    assert statuses == [200]
    assert server.process.wait(60) == 0


def test_a_second_sigterm_cuts_the_waiting_short(start_server: StartServer) -> None:
    server = start_server(DRAIN_SECONDS="300", KEEP_ALIVE_LINGER_SECONDS="300")
    with closing(socket.create_connection(("127.0.0.1", server.port))):
        server.terminate()
        wait_until(lambda: get_status(server.port, "/health/ready") == 503)
        server.terminate()
        assert server.process.wait(60) == 0
    assert "pools closed" in server.log()


def test_the_grace_ends(start_server: StartServer) -> None:
    server = start_server(DRAIN_SECONDS="0", KEEP_ALIVE_LINGER_SECONDS="0", SHUTDOWN_GRACE_SECONDS="1")
    with closing(socket.create_connection(("127.0.0.1", server.port))) as connection:
        connection.sendall(b"POST /fast HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nnever")
        time.sleep(0.3)
        server.terminate()
        assert server.process.wait(60) == 0


ENCODED = "hunter%402%22"
SECRETS = {
    "DATABASE_URL": f"postgresql://user:{ENCODED}@127.0.0.1:1/none",
    "REDIS_URL": "redis://:sesame@127.0.0.1:1/0",
}


def _assert_no_secret(log: str) -> None:
    for secret in ("hunter", "sesame", SECRET):
        assert secret not in log


def test_secrets_stay_out_of_the_log_of_a_server(start_server: StartServer) -> None:
    server = start_server(**SECRETS, LEAK="while serving", LOG_LEVEL="DEBUG", DRAIN_SECONDS="0")
    assert get_status(server.port, "/crash") == 500
    server.terminate()
    assert server.process.wait(30) == 0
    messages = _messages(server)
    assert "connecting to *** *** ***" in messages
    assert "unhandled exception" in messages
    assert "ConnectionError: *** *** ***" in server.log()
    _assert_no_secret(server.log())


def test_secrets_stay_out_of_the_log_of_a_crash(start_server: StartServer) -> None:
    with pytest.raises(AssertionError) as crash:
        start_server(**SECRETS, LEAK="at start")
    log = str(crash.value)
    assert "ConnectionError: *** *** ***" in log
    _assert_no_secret(log)


@pytest.mark.parametrize("path", ["/metrics", "/health/ready", "/version"])
def test_no_path_below_api_leads_to_what_operators_ask(start_server: StartServer, path: str) -> None:
    """A gateway lets in what begins with /api, and not all of them resolve dots first."""
    server = start_server()
    assert get_status(server.port, path) == 200
    for way in (
        f"/api/..{path}",
        f"/api/%2e%2e{path}",
        f"/api/..%2f{path[1:]}",
        f"/api/.{path}",
        f"/api/{path}",
    ):
        assert get_status(server.port, way) == 404


def test_logs_are_json_from_start_to_stop(start_server: StartServer) -> None:
    server = start_server(DRAIN_SECONDS="0", KEEP_ALIVE_LINGER_SECONDS="0")
    get_status(server.port, "/fast")
    server.terminate()
    server.process.wait(60)
    messages = _messages(server)
    assert "GET /fast 200" in messages
    assert messages[-1] == "stopped"
    others = [line for line in server.log().splitlines() if not line.startswith("{")]
    assert others == ["pools closed"]
