"""Migrating a live database, on a real PostgreSQL."""

import multiprocessing
import os
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from psycopg import sql
from sqlalchemy import create_engine, inspect, make_url, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from servicekit import migrations
from servicekit.database import connect_arguments
from servicekit.migrations import Limits, MigrationError
from servicekit.migrations.environment import LOCK_TIMEOUT_MS
from servicekit.migrations.lock import LOCK_KEY, exclusive, refuse_pooler
from servicekit.migrations.run import Event
from servicekit.settings import ServiceSettings
from servicekit.testing import TcpProxy, check_migrations, free_port, temporary_database
from tests import sample
from tests.conftest import MakeSettings
from tests.migrating import connection_to, engine_for, package_of, write_migration, write_service

THINGS = """
def upgrade():
    op.execute("CREATE TABLE things (id int PRIMARY KEY, name text)")


def downgrade():
    op.execute("DROP TABLE things")
"""
COLUMN = """
def upgrade():
    op.execute("ALTER TABLE things ADD COLUMN size int")
"""
INDEX = """
def upgrade():
    with outside_transaction():
        op.execute("CREATE INDEX CONCURRENTLY IF NOT EXISTS things_name ON things (name)")
"""


@pytest.fixture
def url() -> Iterator[str]:
    with temporary_database(os.environ["DATABASE_URL"]) as url:
        yield url


@pytest.fixture
def settings(make_settings: MakeSettings, url: str) -> ServiceSettings:
    return make_settings(database_url=url)


@pytest.fixture
def upgrade(settings: ServiceSettings, tmp_path: Path) -> Callable[..., list[Event]]:
    """Upgrades a service that `write_service` wrote, and returns what it reported."""

    def run(limits: Limits | None = None) -> list[Event]:
        events: list[Event] = []
        migrations.upgrade(settings, package_of(tmp_path), limits=limits, report=events.append)
        return events

    return run


def _tables(settings: ServiceSettings) -> set[str]:
    engine = create_engine(settings.sqlalchemy_url, poolclass=NullPool)
    return set(inspect(engine).get_table_names())


def _names(events: list[Event]) -> list[str]:
    return [event["event"] for event in events]


@pytest.mark.integration
def test_up_down_and_up_again(settings: ServiceSettings) -> None:
    check_migrations(settings, sample, {"things"})
    assert "things" in _tables(settings)


@pytest.mark.integration
def test_reports_each_migration_and_goes_on_behind_the_last(
    upgrade: Callable[..., list[Event]], tmp_path: Path
) -> None:
    write_service(tmp_path, {"a": THINGS, "b": COLUMN})
    first = upgrade()
    assert [(event["event"], event.get("revision")) for event in first[:2]] == [
        ("upgraded", "a"),
        ("upgraded", "b"),
    ]
    assert first[2] == {"event": "verified", "heads": ["b"]}
    assert _names(upgrade()) == ["verified"]


@pytest.mark.integration
def test_waits_for_whoever_migrates_already(settings: ServiceSettings, url: str) -> None:
    with exclusive(engine_for(url)):
        migrating = threading.Thread(target=migrations.upgrade, args=(settings, sample))
        migrating.start()
        migrating.join(3)
        assert migrating.is_alive()
        assert _tables(settings) == set()
    migrating.join(20)
    assert "things" in _tables(settings)


@pytest.mark.integration
def test_names_whoever_migrates_already_when_it_gives_up(settings: ServiceSettings, url: str) -> None:
    with exclusive(engine_for(url)), connection_to(url) as connection:
        pid = connection.scalar(
            text("SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objid = :key"), {"key": LOCK_KEY}
        )
        with pytest.raises(
            MigrationError, match=f"another process is migrating this database: process {pid} "
        ):
            migrations.upgrade(settings, sample, limits=Limits(lock=0))


@pytest.mark.integration
def test_two_at_once_build_a_concurrent_index_once(
    upgrade: Callable[..., list[Event]], tmp_path: Path, url: str
) -> None:
    # A session that waits for the lock in a statement would have a snapshot that the index waits for.
    write_service(tmp_path, {"a": THINGS, "b": INDEX})
    results: list[list[Event]] = []
    threads = [threading.Thread(target=lambda: results.append(upgrade())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(_names(events) for events in results) == [
        ["upgraded", "upgraded", "verified"],
        ["verified"],
    ]


@pytest.mark.integration
def test_gives_way_to_a_long_query_and_names_it(
    upgrade: Callable[..., list[Event]], tmp_path: Path, url: str
) -> None:
    write_service(tmp_path, {"a": THINGS})
    upgrade()
    write_migration(tmp_path, "b", "a", COLUMN)
    with engine_for(url).connect() as reader, connection_to(url) as service:
        reader.exec_driver_sql("BEGIN")
        reader.exec_driver_sql("SELECT * FROM things /* a long report */")
        failed: list[BaseException] = []
        events: list[Event] = []

        def migrate() -> None:
            try:
                events.extend(upgrade(limits=Limits(patience=6)))
            except MigrationError as error:
                failed.append(error)

        migrating = threading.Thread(target=migrate)
        migrating.start()
        slowest = 0.0
        while migrating.is_alive():
            began = time.monotonic()
            service.exec_driver_sql("SELECT count(*) FROM things")
            slowest = max(slowest, time.monotonic() - began)
            time.sleep(0.05)
    # Nobody waits longer than the migration does.
    assert slowest < 5
    assert "canceling statement due to lock timeout. In the way: process" in str(failed[0])
    assert "idle in transaction" in str(failed[0]) and "a long report" in str(failed[0])


@pytest.mark.integration
def test_tries_again_until_a_long_query_has_ended(
    settings: ServiceSettings, tmp_path: Path, url: str
) -> None:
    write_service(tmp_path, {"a": THINGS})
    migrations.upgrade(settings, package_of(tmp_path))
    write_migration(tmp_path, "b", "a", COLUMN)
    events: list[Event] = []
    with engine_for(url).connect() as reader:
        reader.exec_driver_sql("BEGIN")
        reader.exec_driver_sql("SELECT * FROM things")

        def report(event: Event) -> None:
            events.append(event)
            if event["event"] == "retrying":
                reader.exec_driver_sql("COMMIT")

        migrations.upgrade(settings, package_of(tmp_path), report=report)
    assert _names(events) == ["retrying", "upgraded", "verified"]
    assert "SELECT * FROM things" in events[0]["blockers"][0]
    # Services that waited behind the migration have as long to catch up.
    assert events[0]["pause"] >= 1


def test_waits_for_locks_half_as_long_as_services_wait() -> None:
    lock = re.search(r"lock_timeout=(\d+)", connect_arguments(1, 1)["options"])
    connection = ServiceSettings.model_fields["db_pool_timeout_seconds"].default
    assert lock and 2 * LOCK_TIMEOUT_MS <= min(int(lock[1]), 1000 * connection)


@pytest.mark.integration
def test_does_not_repeat_a_statement_that_takes_too_long(
    upgrade: Callable[..., list[Event]], tmp_path: Path, url: str
) -> None:
    slow = """
    def upgrade():
        op.execute("ALTER TABLE things ADD COLUMN size int")
        op.execute("SELECT pg_sleep(60)")
    """
    write_service(tmp_path, {"a": THINGS, "b": slow})
    began = time.monotonic()
    with pytest.raises(MigrationError, match="statement timeout. The migration was rolled back"):
        upgrade()
    assert time.monotonic() - began < 40
    with connection_to(url) as connection:
        assert list(connection.execute(text("SELECT * FROM things")).keys()) == ["id", "name"]


@pytest.mark.integration
@pytest.mark.parametrize("left", ["named by the migration", "of another migration"])
def test_repairs_an_index_that_an_interrupted_build_left_invalid(
    upgrade: Callable[..., list[Event]], tmp_path: Path, url: str, left: str
) -> None:
    index = "things_name" if left == "named by the migration" else "things_old"
    write_service(tmp_path, {"a": THINGS})
    upgrade()
    with connection_to(url) as connection:
        connection.exec_driver_sql("INSERT INTO things VALUES (1, 'same'), (2, 'same')")
        # A unique index on equal values fails, and is left behind like one whose build was interrupted.
        with pytest.raises(Exception, match="could not create unique index"):
            query = sql.SQL("CREATE UNIQUE INDEX CONCURRENTLY {} ON things (name)")
            connection.exec_driver_sql(query.format(sql.Identifier(index)).as_string())
        connection.exec_driver_sql("DELETE FROM things WHERE id = 2")
        write_migration(tmp_path, "b", "a", INDEX)
        events = upgrade()
        assert events[0] == {
            "event": "repaired",
            "index": index,
            "by": "drop" if left == "named by the migration" else "reindex",
        }
        found = connection.execute(
            text(
                "SELECT indexrelid::regclass::text, indisvalid, indisunique FROM pg_index i"
                " WHERE indrelid = 'things'::regclass AND NOT indisprimary ORDER BY 1"
            )
        ).all()
    assert [tuple(row) for row in found] == (
        [("things_name", True, False)]
        if left == "named by the migration"
        else [("things_name", True, False), ("things_old", True, True)]
    )


@pytest.mark.integration
@pytest.mark.parametrize("seconds", [0.2, 0.6, 1.2])
def test_goes_on_after_it_was_killed(
    upgrade: Callable[..., list[Event]], settings: ServiceSettings, tmp_path: Path, url: str, seconds: float
) -> None:
    slowly = """
    def upgrade():
        op.execute("ALTER TABLE things ADD COLUMN {name} int")
        op.execute("SELECT pg_sleep(0.5)")
    """
    names = ["b", "c", "d"]
    write_service(tmp_path, {"a": THINGS, **{name: slowly.format(name=name) for name in names}, "e": INDEX})
    process = multiprocessing.get_context("fork").Process(
        target=migrations.upgrade, args=(settings, package_of(tmp_path))
    )
    process.start()
    time.sleep(seconds)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    upgrade()
    with connection_to(url) as connection:
        found = connection.execute(
            text(
                "SELECT attname FROM pg_attribute WHERE attrelid = 'things'::regclass AND attnum > 2"
                " ORDER BY 1"
            )
        )
        assert [row[0] for row in found] == names
        assert connection.scalar(text("SELECT version_num FROM alembic_version")) == "e"


@pytest.mark.integration
def test_goes_on_after_the_connection_was_cut(make_settings: MakeSettings, tmp_path: Path, url: str) -> None:
    slow = """
    def upgrade():
        op.execute("CREATE TABLE more (id int)")
        op.execute("SELECT pg_sleep(2)")
    """
    write_service(tmp_path, {"a": THINGS, "b": slow})
    address = make_url(url)
    proxy = TcpProxy(address.host or "127.0.0.1", address.port or 5432)
    through = address.set(host="127.0.0.1", port=proxy.port).render_as_string(hide_password=False)
    events: list[Event] = []

    def report(event: Event) -> None:
        events.append(event)
        if event.get("revision") == "a":
            threading.Timer(0.7, proxy.cut).start()
        if event["event"] == "retrying":
            proxy.restore()

    migrations.upgrade(make_settings(database_url=through), package_of(tmp_path), report=report)
    proxy.cut()
    names = _names(events)
    assert names[0] == "upgraded" and "retrying" in names and names[-2:] == ["upgraded", "verified"]


@pytest.mark.integration
def test_a_migration_that_hides_its_errors_is_found_out(
    upgrade: Callable[..., list[Event]], tmp_path: Path
) -> None:
    env = """
from alembic import context
from sqlalchemy import MetaData
from servicekit.migrations import run_environment

try:
    run_environment(MetaData())
except Exception as error:
    if "already exists" not in str(error):
        raise
"""
    write_service(tmp_path, {"a": THINGS, "b": THINGS}, env)
    with pytest.raises(MigrationError, match="the database has no record of b"):
        upgrade()


@pytest.mark.integration
def test_refuses_several_heads(upgrade: Callable[..., list[Event]], tmp_path: Path) -> None:
    write_service(tmp_path, {"a": THINGS})
    write_migration(tmp_path, "b", None, "")
    with pytest.raises(MigrationError, match=r"there are 2 heads \((a, b|b, a)\)"):
        upgrade()


@pytest.mark.integration
def test_refuses_a_database_that_a_newer_release_migrated(
    upgrade: Callable[..., list[Event]], tmp_path: Path
) -> None:
    write_service(tmp_path, {"a": THINGS, "b": COLUMN})
    upgrade()
    (tmp_path / "migrations/versions/b.py").unlink()
    with pytest.raises(MigrationError, match="at revision b, which this image does not have"):
        upgrade()


@pytest.mark.integration
def test_wrong_credentials_end_at_once(make_settings: MakeSettings, url: str) -> None:
    wrong = make_url(url).set(username="nobody_of_this_name").render_as_string(hide_password=False)
    began = time.monotonic()
    with pytest.raises(MigrationError, match="nobody_of_this_name"):
        migrations.upgrade(make_settings(database_url=wrong), sample)
    assert time.monotonic() - began < 30


def test_gives_up_on_a_database_that_never_answers(make_settings: MakeSettings) -> None:
    with pytest.raises(MigrationError, match="refused"):
        migrations.upgrade(make_settings(), sample, limits=Limits(patience=0.5))


@pytest.mark.integration
def test_refuses_a_connection_pooler(url: str, tmp_path: Path) -> None:
    """PgBouncer itself, where it is installed; see `refuse_pooler` for how it is told."""
    with connection_to(url) as connection:
        refuse_pooler(connection)
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip("needs pgbouncer")
    address = make_url(url)
    port = free_port()
    (tmp_path / "users.txt").write_text(f'"{address.username}" "{address.password or ""}"\n')
    (tmp_path / "pgbouncer.ini").write_text(
        f"[databases]\n* = host={address.host} port={address.port}\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n"
        "pool_mode = transaction\nauth_type = trust\n"
        f"auth_file = {tmp_path}/users.txt\nunix_socket_dir =\n"
        "ignore_startup_parameters = options,extra_float_digits\n"
    )
    # PgBouncer refuses to run as root.
    user = ["-u", "nobody"] if os.getuid() == 0 else []
    for path in (tmp_path, *tmp_path.parents[:2]):
        path.chmod(0o755)
    process = subprocess.Popen([program, "-q", *user, str(tmp_path / "pgbouncer.ini")])
    try:
        pooled = address.set(host="127.0.0.1", port=port).render_as_string(hide_password=False)
        with pytest.raises(MigrationError, match="a connection pooler such as PgBouncer is in the way"):
            _retry_connect(pooled)
    finally:
        process.kill()
        process.wait()


def _retry_connect(url: str) -> None:
    for _ in range(100):
        try:
            with connection_to(url) as connection:
                refuse_pooler(connection)
                return
        except OperationalError:
            time.sleep(0.1)
    raise AssertionError("PgBouncer did not start")


def test_offline_mode_prints_sql_with_limits(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://nowhere/none")
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "sample/migrations"))
    command.upgrade(config, "head", sql=True)
    printed = capsys.readouterr().out
    assert "CREATE TABLE things" in printed
    assert printed.index("set_config('lock_timeout', '1000', false)") < printed.index("CREATE TABLE")
    assert "set_config('statement_timeout', '5000', false)" in printed
