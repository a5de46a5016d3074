"""Backfills, on a real PostgreSQL."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import text

from servicekit import migrations
from servicekit.settings import ServiceSettings
from servicekit.testing import temporary_database, wait_until
from tests.conftest import MakeSettings
from tests.migrating import config_of, connection_to, package_of, write_migration, write_service

ROWS = 2_500
THINGS = """
def upgrade():
    op.execute("CREATE TABLE things (id text PRIMARY KEY, name text, changes int NOT NULL DEFAULT 0)")
    op.execute("INSERT INTO things SELECT lpad(n::text, 6, '0'), 'a' FROM generate_series(1, 2500) AS n")
"""
BACKFILL = """
def upgrade():
    in_batches(
        "things", "id", "UPDATE things SET name = 'b', changes = changes + 1 WHERE {batch}",
        size=SIZE, pause_seconds=PAUSE,
    )


def downgrade():
    pass
"""
ALL_ONCE = "SELECT count(*) FILTER (WHERE changes = 1 AND name = 'b'), count(*) FROM things"


@pytest.fixture
def url() -> Iterator[str]:
    with temporary_database(os.environ["DATABASE_URL"]) as url:
        yield url


@pytest.fixture
def settings(make_settings: MakeSettings, url: str) -> ServiceSettings:
    return make_settings(database_url=url)


@pytest.fixture
def backfill(settings: ServiceSettings, tmp_path: Path) -> Callable[..., None]:
    """Writes a service with 2,500 rows, and a backfill that waits to be run."""

    def write(size: int, pause: float = 0.0) -> None:
        write_service(tmp_path, {"a": THINGS})
        migrations.upgrade(settings, package_of(tmp_path))
        body = BACKFILL.replace("SIZE", str(size)).replace("PAUSE", str(pause))
        write_migration(tmp_path, "b", "a", body)

    return write


@pytest.mark.integration
@pytest.mark.parametrize("size", [1_000, ROWS, 10_000])
def test_changes_each_row_once(
    backfill: Callable[..., None], settings: ServiceSettings, tmp_path: Path, url: str, size: int
) -> None:
    backfill(size)
    migrations.upgrade(settings, package_of(tmp_path))
    with connection_to(url) as connection:
        assert tuple(connection.execute(text(ALL_ONCE)).one()) == (ROWS, ROWS)
        assert connection.scalar(text("SELECT count(*) FROM pitwall.backfills")) == 0


@pytest.mark.integration
def test_commits_each_batch_and_leaves_new_rows_out(
    backfill: Callable[..., None], settings: ServiceSettings, tmp_path: Path, url: str
) -> None:
    backfill(500, pause=0.5)
    with connection_to(url) as connection:
        migrating = threading.Thread(target=migrations.upgrade, args=(settings, package_of(tmp_path)))
        migrating.start()
        changed = text("SELECT count(*) FROM things WHERE name = 'b'")
        wait_until(lambda: connection.scalar(changed) == 1_000)
        # A row that it has done and one that it has not are free, and it does not walk after those that come.
        connection.exec_driver_sql("SET lock_timeout = '5s'")
        connection.exec_driver_sql("UPDATE things SET name = name WHERE id IN ('000001', '002500')")
        connection.exec_driver_sql("INSERT INTO things VALUES ('900000', 'new')")
        migrating.join(60)
        assert tuple(connection.execute(text(ALL_ONCE)).one()) == (ROWS, ROWS + 1)


@pytest.mark.integration
def test_goes_on_behind_the_last_batch_after_it_was_killed(
    backfill: Callable[..., None], settings: ServiceSettings, tmp_path: Path, url: str
) -> None:
    backfill(500, pause=0.4)
    process = multiprocessing.get_context("fork").Process(
        target=migrations.upgrade, args=(settings, package_of(tmp_path))
    )
    process.start()
    with connection_to(url) as connection:
        wait_until(lambda: (connection.scalar(text("SELECT sum(changes) FROM things")) or 0) >= 1_000)
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        assert connection.scalar(text("SELECT version_num FROM alembic_version")) == "a"
        migrations.upgrade(settings, package_of(tmp_path))
        # None was changed twice.
        assert tuple(connection.execute(text(ALL_ONCE)).one()) == (ROWS, ROWS)


@pytest.mark.integration
def test_gives_way_to_a_locked_row_and_goes_on(
    backfill: Callable[..., None], settings: ServiceSettings, tmp_path: Path, url: str
) -> None:
    backfill(1_000)
    with connection_to(url) as other, connection_to(url) as connection:
        other.exec_driver_sql("BEGIN")
        other.exec_driver_sql("UPDATE things SET name = name WHERE id = '001500'")

        def report(event: dict[str, object]) -> None:
            if event["event"] == "retrying":
                other.exec_driver_sql("COMMIT")

        migrations.upgrade(settings, package_of(tmp_path), report=report)
        assert tuple(connection.execute(text(ALL_ONCE)).one()) == (ROWS, ROWS)


@pytest.mark.integration
def test_begins_anew_after_a_downgrade(
    backfill: Callable[..., None], settings: ServiceSettings, tmp_path: Path, url: str
) -> None:
    backfill(1_000)
    migrations.upgrade(settings, package_of(tmp_path))
    migrations.downgrade(settings, package_of(tmp_path), "a")
    with connection_to(url) as connection:
        connection.exec_driver_sql("UPDATE things SET name = 'a', changes = 0")
        migrations.upgrade(settings, package_of(tmp_path))
        assert tuple(connection.execute(text(ALL_ONCE)).one()) == (ROWS, ROWS)


@pytest.mark.integration
@pytest.mark.parametrize(
    "arguments, words",
    [
        (
            '"things", "nothing", "UPDATE things SET name = 1 WHERE {batch}"',
            "table things has no column nothing",
        ),
        ('"things", "id", "UPDATE things SET name = 1"', "selects its rows with {batch}"),
    ],
)
def test_refuses_what_it_cannot_walk(
    settings: ServiceSettings, tmp_path: Path, arguments: str, words: str
) -> None:
    write_service(tmp_path, {"a": THINGS, "b": f"def upgrade():\n    in_batches({arguments})\n"})
    with pytest.raises(ValueError, match=words):
        migrations.upgrade(settings, package_of(tmp_path))


def test_offline_mode_prints_the_statement(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    body = BACKFILL.replace("SIZE", "10").replace("PAUSE", "0")
    write_service(tmp_path, {"a": body})
    command.upgrade(config_of(tmp_path, "postgresql://nowhere/none"), "head", sql=True)
    printed = capsys.readouterr().out
    assert "UPDATE things SET name = 'b', changes = changes + 1 WHERE true" in printed
