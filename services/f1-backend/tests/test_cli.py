import datetime as dt
import json
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select
from typer.testing import CliRunner

from f1 import store
from f1.api.app import make_app
from f1.cli import cli
from f1.dataset import SeasonData, history
from f1.ingest import run as ingest
from f1.model import artifact
from f1.settings import Settings
from f1.tables import Driver, Prediction, Race, Rating, Season
from servicekit.auth import TokenService
from servicekit.database import Database
from servicekit.settings import schema_settings
from servicekit.testing import temporary_database
from tests.conftest import SECRET, Models, settings_for
from tests.forecasts import BAD, GOOD, keep, said
from tests.replay import replaying
from tests.test_csvfiles import RESULTS, write

integration = pytest.mark.integration
runner = CliRunner()


def run(*arguments: str, code: int = 0) -> str:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    result = runner.invoke(cli, list(arguments))
    # The command logs to the runner's output, which is closed now.
    root.handlers, root.level = handlers, level
    if result.exit_code != code and result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result.output


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """The service's environment with an empty, migrated database."""
    with temporary_database(os.environ["DATABASE_URL"]) as url:
        monkeypatch.setenv("DATABASE_URL", url)
        monkeypatch.setenv("JWT_SECRET_KEY", SECRET)
        monkeypatch.setenv("MODEL_DIR", str(tmp_path / "models"))
        monkeypatch.delenv("WEATHER_API_KEY", raising=False)
        run("migrate")
        database = Database(settings_for(database_url=url))
        yield database
        database.close()


def count(database: Database, table: type[Season] | type[Race] | type[Prediction]) -> int:
    with database.session() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def test_openapi_is_printed_without_any_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE_URL", "REDIS_URL", "JWT_SECRET_KEY"):
        monkeypatch.delenv(name, raising=False)
    assert json.loads(run("openapi")) == make_app(schema_settings(Settings)).openapi()


def test_a_token_is_good_for_the_admin_role(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://localhost/x")
    monkeypatch.setenv("REDIS_URL", "redis://localhost")
    monkeypatch.setenv("JWT_SECRET_KEY", SECRET)
    principal = TokenService(settings_for()).verify(run("admin-token", "--subject", "me").strip())
    assert (principal.subject, principal.role) == ("me", "admin")


def test_wrong_settings_end_with_a_message_and_2(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.setenv("JWT_SECRET_KEY", "short")
    monkeypatch.setenv("REDIS_URL", "redis://localhost")
    output = run("ingest", "demo", code=2)
    assert "DATABASE_URL" in output and "JWT_SECRET_KEY" in output
    assert "short" not in output.replace("shorter", "")


@integration
def test_a_missing_schema_is_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with temporary_database(os.environ["DATABASE_URL"]) as url:
        monkeypatch.setenv("DATABASE_URL", url)
        monkeypatch.setenv("JWT_SECRET_KEY", SECRET)
        monkeypatch.setenv("MODEL_DIR", str(tmp_path))
        for command in (["train"], ["predict"], ["ingest", "weather"], ["ingest", "demo"]):
            output = run(*command, code=1)
            assert output.splitlines()[-1] == (
                "error: the database has no schema, or an old one: `f1 migrate` brings it up to date"
            )
            assert "Traceback" not in output


def test_a_database_that_does_not_answer_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://someone:password@127.0.0.1:1/none")
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    monkeypatch.setenv("JWT_SECRET_KEY", SECRET)
    monkeypatch.setenv("MODEL_DIR", str(tmp_path))
    for command in (["train"], ["evaluate"], ["ingest", "weather"]):
        output = run(*command, code=1)
        assert "error: the database does not answer; it must be running where DATABASE_URL says" in output
        assert "Traceback" not in output
        assert "password" not in output


@integration
def test_csv_in(environment: Database, tmp_path: Path) -> None:
    write(tmp_path)
    assert "seasons written: 1, already there: 0" in run("ingest", "csv", str(tmp_path))
    assert "seasons written: 0, already there: 1" in run("ingest", "csv", str(tmp_path))
    write(tmp_path, results=RESULTS.replace("red-bull,1", "red-bull,x", 1))
    error = run("ingest", "csv", str(tmp_path), code=1)
    assert "error: results.csv line 2, column grid: a place from 1 to 60, PL, or nothing, found 'x'" in error
    with environment.session() as session:
        assert store.load_history(session)[0].winner == "max-verstappen"


@integration
def test_jolpica_in_and_on_from_where_it_stopped(
    environment: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ERGAST_API_KEY", "key-of-tests")
    monkeypatch.setenv("HTTP_ATTEMPTS", "1")
    with replaying(completed=3) as replay:
        for name in ("JOLPICA_URL", "WEATHER_ARCHIVE_URL", "WEATHER_FORECAST_URL"):
            monkeypatch.setenv(name, replay.url + ("/weather" if "WEATHER" in name else ""))
        # The second season breaks off: the first one stays.
        replay.script = ["", "", "", "", "500"]
        error = run("ingest", "jolpica", "--from", "2022", "--to", "2023", code=1)
        assert "2023/results/: status 500 (1 attempts)" in error
        assert "key-of-tests" not in error
        assert count(environment, Season) == 1
        with environment.session() as session:
            assert session.scalar(select(func.count()).select_from(Rating)) > 0  # type: ignore[operator]
        replay.requests.clear()
        output = run("ingest", "jolpica", "--from", "2022", "--to", "2023")
        asked = [path for path, _, _ in replay.requests]
        assert not [path for path in asked if "/2022/" in path]
        assert replay.requests[0][2]["Authorization"] == "Bearer key-of-tests"
        assert "weather known: 6, unknown: 0" in output
        assert count(environment, Race) == 6
        replay.requests.clear()
        run("ingest", "jolpica", "--from", "2022", "--to", "2023", "--no-weather")
        assert replay.requests == []
        run("ingest", "jolpica", "--from", "2022", "--to", "2023", "--no-weather", "--refresh")
        assert len(replay.requests) == 6
        assert "weather known: 0, unknown: 0" in run("ingest", "weather", "--from", "2022")


@integration
def test_jolpica_and_csv_are_the_same_people(
    environment: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("ingest", "csv", str(write(tmp_path)))
    with replaying() as replay:
        monkeypatch.setenv("JOLPICA_URL", replay.url)
        run("ingest", "jolpica", "--from", "2024", "--to", "2024", "--no-weather")
    with environment.session() as session:
        drivers = {driver.id: driver for driver in session.scalars(select(Driver))}
    assert {"max-verstappen", "sergio-perez", "carlos-sainz-jr", "guanyu-zhou"} <= set(drivers)
    assert (drivers["sergio-perez"].name, drivers["sergio-perez"].code) == ("Sergio Pérez", "PER")
    assert len(drivers) == 6


@integration
def test_from_nothing_to_stored_predictions(
    environment: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "error:" in run("train", code=1)
    assert "error: there is no model to use: current cannot be read" in run("predict", code=1)
    assert "seasons written: 5" in run("ingest", "demo", "--seasons", "5", "--as-of", "2024-08-15")
    version = run("train", "--jobs", "2").strip().splitlines()[-2:]
    name = artifact.current(tmp_path / "models")
    assert name in " ".join(version)
    backtest = count(environment, Prediction)
    assert backtest == 2 * 20 * (16 + _run_in_2024(environment))
    # The day of the next race has passed: what is said of it now is no prediction.
    assert "or the results of the race that was due" in run("predict", code=1)
    assert count(environment, Prediction) == backtest
    monkeypatch.setattr("f1.cli._now", lambda: dt.datetime(2024, 8, 16, tzinfo=dt.UTC))
    assert "stored 20 chances" in run("predict")
    assert count(environment, Prediction) == backtest + 20
    assert "post-qualifying: no-data, 0 races, evidence 1.00 of 40" in run("monitor")
    # Race dates are in the past by now, so what `predict` stored is replaced as well.
    assert "walk-forward chances" in run("predict", "--backfill")
    assert count(environment, Prediction) == backtest
    report = run("evaluate", "--from", "2024", "--to", "2024", "--out", str(tmp_path / "report"))
    assert "How good the predictions are" in report
    assert "removed 5" in run("ingest", "demo", "--remove")
    assert (count(environment, Season), count(environment, Prediction)) == (0, 0)


def _run_in_2024(database: Database) -> int:
    with database.session() as session:
        done = [record for record in store.load_history(session) if record.completed]
    return sum(record.race.date >= dt.date(2024, 1, 1) for record in done)


@integration
def test_monitoring_says_what_it_lacks_in_a_sentence(
    environment: Database, tmp_path: Path, saved: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "error: there is no model to use" in run("monitor", code=1)
    shutil.copytree(saved.folder, tmp_path / "models")
    with temporary_database(os.environ["DATABASE_URL"]) as url:
        monkeypatch.setenv("DATABASE_URL", url)
        assert "error: the database has no schema" in run("monitor", code=1)
        monkeypatch.setenv("MONITORING_ALPHA", "0")
        assert "MONITORING_ALPHA" in run("monitor", code=2)


@integration
def test_a_finding_is_printed(
    environment: Database, tmp_path: Path, saved: Models, seasons: list[SeasonData]
) -> None:
    shutil.copytree(saved.folder, tmp_path / "models")
    ingest.ingest(environment, "demo", [seasons[-2]])
    keep(environment, [said(record, BAD, GOOD) for record in history([seasons[-2]])])
    output = run("monitor")
    assert "post-qualifying: worse, 16 races" in output
    assert "open: after qualifying, the model's log-loss over 16 races is 2.639 a race above" in output
    assert run("monitor") == output


@integration
def test_there_may_be_no_race_to_come(environment: Database, tmp_path: Path, saved: Models) -> None:
    shutil.copytree(saved.folder, tmp_path / "models")
    assert "there is no race to come" in run("predict", code=1)


@pytest.mark.integration
def test_commands_on_the_database_need_its_address_only(empty_database: str) -> None:
    variables = {"DATABASE_URL": empty_database, "PATH": os.environ["PATH"]}
    variables["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    command = [sys.executable, "-m", "f1", "database", "state"]
    printed = subprocess.run(command, env=variables, check=True, stdout=subprocess.PIPE).stdout
    state = json.loads(printed)
    assert (state["heads"], state["pending"]) == (state["image"], [])
