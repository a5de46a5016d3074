"""What must not go wrong in production, with real processes and sockets."""

import json
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from servicekit.testing import Endpoints, Server, keep_alive_clients, running_server, wait_until
from tests.conftest import SECRET, Models, admin, settings_for
from tests.test_serving import clone, worse
from tests.test_artifact import edit

pytestmark = pytest.mark.integration

THINK_SECONDS = (0.0, 0.0, 0.01, 0.05, 0.2, 0.7)
NEXT = "/api/f1/races/next"

Start = Callable[..., Any]


@pytest.fixture
def start(filled_database: str, models: Models, tmp_path: Path) -> Iterator[Callable[[str], Any]]:
    """Starts the service in a process of its own."""

    def run(name: str) -> Any:
        environment = {
            "DATABASE_URL": filled_database,
            "REDIS_URL": settings_for().redis_url.get_secret_value(),
            "JWT_SECRET_KEY": SECRET,
            "MODEL_DIR": str(models.folder),
            "DRAIN_SECONDS": "6",
            "KEEP_ALIVE_LINGER_SECONDS": "60",
            "OMP_NUM_THREADS": "1",
        }
        return running_server(["-m", "f1", "serve"], environment, str(tmp_path / f"{name}.log"))

    yield run


def reload_model(server: Server, version: str, force: bool = False) -> tuple[int, dict[str, Any]]:
    request = urllib.request.Request(
        f"http://127.0.0.1:{server.port}/admin/model/reload",
        json.dumps({"version": version, "force": force}).encode(),
        {"Content-Type": "application/json", **admin(settings_for())},
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def served_version(server: Server) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}{NEXT}", timeout=30) as response:
        return str(json.load(response)["model_version"])


def test_sigterm_under_load_loses_nothing(start: Start) -> None:
    with start("one") as one, start("two") as two:
        endpoints = Endpoints([one, two])
        with keep_alive_clients(endpoints, NEXT, THINK_SECONDS) as tally:
            wait_until(lambda: tally.statuses[200] > 50, 120)
            one.terminate()
            assert one.process.wait(timeout=120) == 0
            asked = tally.statuses[200]
            wait_until(lambda: tally.statuses[200] > asked + 50, 120)
    assert tally.lost == []
    assert set(tally.statuses) == {200}


def test_refused_models_under_load_change_nothing_and_a_good_one_swaps(start: Start, models: Models) -> None:
    (clone(models, "corrupted").path / "post-qualifying" / "booster.ubj").write_bytes(b"\0" * 1000)
    edit(clone(models, "mismatched").path, "metadata.json", lambda m: m.update(feature_schema_hash="0" * 64))
    edit(
        clone(models, "off-golden").path,
        "pre-weekend/logits.json",
        lambda v: v["form"].update(scale=v["recent"]["scale"]),
    )
    worse(models, "worse", 0.3)
    clone(models, "good")
    refusals = {"corrupted": (422, "checksum"), "mismatched": (422, "schema"), "off-golden": (422, "golden")}
    with start("server") as server:
        with keep_alive_clients(Endpoints([server]), NEXT, THINK_SECONDS) as tally:
            for _ in range(3):
                for version, (status, reason) in {**refusals, "worse": (409, "worse")}.items():
                    answer = reload_model(server, version)
                    assert (answer[0], answer[1]["reason"]) == (status, reason)
                    assert answer[1]["current"] == models.version
                    assert served_version(server) == models.version
            assert reload_model(server, "good") == (200, {"previous": models.version, "current": "good"})
            assert served_version(server) == "good"
            asked = sum(tally.statuses.values())
            wait_until(lambda: sum(tally.statuses.values()) > asked + 20, 120)
    assert tally.lost == []
    assert set(tally.statuses) == {200}


def test_a_server_without_a_model_comes_up_and_can_be_given_one(start: Start, models: Models) -> None:
    (models.folder / "current").rename(models.folder / "aside")
    with start("bare") as server:
        assert reload_model(server, models.version)[0] == 200
        assert served_version(server) == models.version
