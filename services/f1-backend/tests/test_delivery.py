"""From new results to a challenger, on a real database and a real S3 server."""

import datetime as dt
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from f1.dataset import SeasonData, history
from f1.ingest import run as ingest
from f1.ingest.http import JsonClient
from f1.ingest.jolpica import Jolpica
from f1.monitoring import records
from f1.registry import package
from f1.registry.delivery import Training, deliver
from f1.registry.registry import Registry
from servicekit.database import Database
from servicekit.objects import StorageError
from servicekit.testing_storage import Bucket, Refusal
from tests.conftest import settings_for
from tests.forecasts import BAD, GOOD, keep, said
from tests.models import KEY
from tests.replay import replaying
from tests.test_cli import run

pytestmark = pytest.mark.integration

NOW = dt.datetime(2026, 3, 16, tzinfo=dt.UTC)


@pytest.fixture
def database(empty_database: str) -> Iterator[Database]:
    opened = Database(settings_for(database_url=empty_database))
    yield opened
    opened.close()


def until(season: SeasonData, last: int) -> SeasonData:
    """A season whose later rounds were not run yet."""
    return replace(
        season,
        results=tuple(row for row in season.results if row.round <= last),
        qualifying=tuple(row for row in season.qualifying if row.round <= last),
    )


def test_a_new_race_brings_a_model_and_nothing_new_brings_none(
    database: Database, registry: Registry, bucket: Bucket, seasons: list[SeasonData]
) -> None:
    said_lines: list[str] = []

    def say(text: str) -> None:
        said_lines.append(text)
        print(text, flush=True)

    training = Training(database, registry, KEY, lambda: None, "abc", say, lambda: NOW)
    assert deliver(training).message == "nothing new: no race has results"
    *past, current = seasons
    last = max(row.round for row in current.results)
    ingest.ingest(database, "demo", [*past, until(current, last - 1)])

    # Stopped after the model was published and before the pointer knew.
    bucket.refuse = lambda method, path: (
        Refusal(403, "AccessDenied") if method == "PUT" and "pointers" in path else None
    )
    with pytest.raises(StorageError, match="pointers/staging.json"):
        deliver(training)
    bucket.refuse = lambda method, path: None
    said_lines.clear()
    first = deliver(training)
    assert first.outcome == "challenger", first.message
    assert "there is no champion yet" in first.message
    assert any("goes on with" in line for line in said_lines)
    assert not any("predicted" in line for line in said_lines)
    assert registry.pointed().pointer.challenger == first.digest
    # Nobody has promoted it yet; all the same there is nothing to do.
    again = deliver(training)
    assert (again.outcome, again.digest) == ("nothing-new", first.digest)

    registry.promote(None, "checked", NOW)
    on_the_day = dt.datetime.combine(current.races[last - 1].date, dt.time(), dt.UTC)
    seen = deliver(replace(training, now=lambda: on_the_day))
    assert f"kept the forecast of 2024/{last} {current.races[last - 1].name}, pre-weekend" in said_lines
    assert seen.outcome == "nothing-new"
    assert seen.message.startswith("nothing new: the champion has seen ")

    # The champion's forecasts turn out bad: a reason to train once, although it has seen all.
    races = history([*past, until(current, last - 1)])
    keep(database, [said(record, BAD, GOOD) for record in races if record.completed][-8:], "earlier")
    said_before = len(said_lines)
    found = deliver(training)
    assert found.outcome == "unproven", found.message
    assert (found.because or "").startswith("monitoring found: after qualifying, the model's log-loss")
    assert any("monitoring found: " in line for line in said_lines[said_before:])
    with database.session() as session:
        (finding,) = records.load_findings(session)
    assert (finding.state, finding.model_version) == ("answered", first.version)
    assert finding.answer == f"unproven: {found.message}"
    assert deliver(training).message == seen.message

    # One driver's result is still missing.
    newest = [row for row in current.results if row.round == last]
    late = replace(current, results=tuple(row for row in current.results if row is not newest[-1]))
    ingest.ingest(database, "demo", [late])
    waiting = deliver(training)
    assert waiting.outcome == "deferred"
    assert f"no results of {newest[-1].who.driver}, who qualified" in waiting.message

    # The race is complete: a model of the same recipe says the same of past races, which proves nothing.
    ingest.ingest(database, "demo", [current])
    second = deliver(training)
    assert second.outcome == "unproven", second.message
    assert "so the champion stays" in second.message
    assert registry.pointed().pointer.champion == first.digest
    assert registry.pointed().pointer.challenger is None
    third = deliver(training)
    assert (third.outcome, third.digest) == ("nothing-new", second.digest)
    # With other code the same data is worth another look.
    assert len(registry.entries()) == 3


@pytest.mark.parametrize("behaviour", ["401", "403", "429 1800", "502", "truncated", "hang up"])
def test_a_source_that_does_not_answer_puts_it_off(
    database: Database, registry: Registry, behaviour: str
) -> None:
    with (
        replaying(always=behaviour) as replay,
        JsonClient(timeout=5, attempts=2, patience=60.0, sleep=lambda _: None) as client,
    ):
        jolpica = Jolpica(client, replay.url)
        training = Training(
            database, registry, KEY, lambda: print(jolpica.season(2024)), "abc", print, lambda: NOW
        )
        result = deliver(training)
    assert result.outcome == "deferred"
    assert result.message.startswith(f"put off, the champion serves: {replay.url}/2024/races/: ")
    # Nobody waits for half an hour.
    assert len(replay.requests) <= 2


def test_the_command_tells_its_outcome_in_its_last_line(
    empty_database: str,
    bucket: Bucket,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in {
        "DATABASE_URL": empty_database,
        "JWT_SECRET_KEY": "unit-tests-only-0123456789abcdef",
        "MODEL_REGISTRY": f"s3://{bucket.name}/f1",
        "MODEL_REGISTRY_ENDPOINT": bucket.endpoint,
        "MODEL_PUBLIC_KEY": package.public_key_of(KEY),
        "MODEL_SIGNING_KEY": KEY,
        "HTTP_ATTEMPTS": "1",
    }.items():
        monkeypatch.setenv(name, value)
    with replaying(always="502") as replay:
        monkeypatch.setenv("JOLPICA_URL", replay.url)
        # In a process of its own, as it keeps standard output for itself.
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
        command = [sys.executable, "-m", "f1", "registry", "train", "--from", "2026"]
        ran = subprocess.run(command, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    result = json.loads(ran.stdout.splitlines()[-1])
    assert (result["event"], result["outcome"]) == ("result", "deferred")
    assert "status 502" in result["message"]
    assert run("registry", "list") == ""
    assert "no challenger to promote" in run("registry", "promote", "--reason", "x", code=1)
    assert "is no digest" in run("registry", "verify", "latest", code=1)
    assert run("registry", "prune") == "nothing to remove\n"
    monkeypatch.delenv("MODEL_SIGNING_KEY")
    assert "holds no model as the registry keeps it" in run("registry", "publish", str(tmp_path), code=1)
