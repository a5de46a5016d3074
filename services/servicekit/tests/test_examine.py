"""What the examination of migrations notes, on a real PostgreSQL."""

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from servicekit.migrations.examine import Examination, examine
from servicekit.testing import temporary_database, wait_until
from tests.migrating import connection_to, engine_for, write_migration, write_service

pytestmark = pytest.mark.integration

THINGS = """
def upgrade():
    op.execute("CREATE TABLE things (id int PRIMARY KEY, name text)")


def downgrade():
    op.execute("DROP TABLE things")
"""

Examine = Callable[..., Examination]


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with temporary_database(os.environ["DATABASE_URL"]) as url:
        monkeypatch.setenv("DATABASE_URL", url)
        yield url


@pytest.fixture
def examined(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Examine:
    """The examination of a service with these migrations."""

    def run(mode: str = "empty", **migrations: str) -> Examination:
        if migrations:
            write_service(tmp_path, migrations)
        monkeypatch.chdir(tmp_path)
        return examine(mode, tmp_path)

    return run


def test_statements_have_lines_limits_transactions_and_locks(examined: Examine) -> None:
    second = """
    def upgrade():
        op.execute("ALTER TABLE things ADD COLUMN size int DEFAULT 10 % 3")
        with outside_transaction(limit_seconds=60):
            op.execute("CREATE INDEX CONCURRENTLY IF NOT EXISTS things_size ON things (size)")
        op.execute("SET lock_timeout = 0")
        op.execute("UPDATE things SET size = 1")


    def downgrade():
        op.execute("ALTER TABLE things DROP COLUMN size")
    """
    found = examined(a=THINGS, b=second).migrations[1]
    assert found.file == "migrations/versions/b.py"
    assert found.upgrade and found.downgrade
    add, *limits, index, _, _, unlimited, update = found.upgrade.statements
    assert (add.sql, add.line, add.tag) == (
        "ALTER TABLE things ADD COLUMN size int DEFAULT 10 % 3",
        7,
        "ALTER TABLE",
    )
    assert (add.autocommit, add.lock_timeout_ms, add.statement_timeout_ms) == (False, 1_000, 5_000)
    assert [(lock.mode, lock.name) for lock in add.locks if lock.name == "things"] == [
        ("AccessExclusiveLock", "things")
    ]
    assert [limit.tag for limit in limits] == ["SELECT 1", "SELECT 1"]
    assert (index.autocommit, index.lock_timeout_ms, index.statement_timeout_ms) == (True, 60_000, 60_000)
    assert (unlimited.lock_timeout_ms, update.lock_timeout_ms) == (1_000, 0)
    assert ("RowExclusiveLock", "things") in [(lock.mode, lock.name) for lock in update.locks]
    assert found.downgrade.line == 14
    assert [each.name for each in found.upgrade.before if each.kind == "column"] == [
        "things.id",
        "things.name",
    ]
    assert not found.left_over and not found.not_restored


def test_a_copy_of_a_live_database_shows_what_is_pending(examined: Examine, url: str, tmp_path: Path) -> None:
    second = """
    def upgrade():
        op.execute("ALTER TABLE things ADD COLUMN size int")
        op.execute("SELECT pg_sleep(0.3)")
    """
    examined(a=THINGS)
    write_migration(tmp_path, "b", "a", second)
    write_migration(tmp_path, "c", "b", "")
    first, then = examined("pending").migrations
    assert (first.revision, then.revision) == ("b", "c")
    assert first.upgrade and first.upgrade.seconds >= first.upgrade.statements[1].seconds >= 0.3
    assert examined("pending").migrations == []


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE INDEX CONCURRENTLY IF NOT EXISTS things_other ON things (name)",
        "DROP INDEX CONCURRENTLY IF EXISTS things_name",
        "REINDEX INDEX CONCURRENTLY things_name",
    ],
)
def test_concurrent_statements_hold_the_lock_that_is_noted(
    examined: Examine, url: str, tmp_path: Path, statement: str
) -> None:
    index = '    op.execute("CREATE INDEX things_name ON things (name)")'
    first = THINGS.replace("\n\n\ndef downgrade", f"\n{index}\n\n\ndef downgrade")
    second = f"""
    def upgrade():
        with outside_transaction():
            op.execute("{statement}")
    """
    examined(a=first)
    write_migration(tmp_path, "b", "a", second)
    held: set[tuple[str, str]] = set()
    # Concurrent statements wait for older snapshots, and hold their locks meanwhile.
    with engine_for(url).connect() as old, connection_to(url) as watcher:
        old.exec_driver_sql("BEGIN ISOLATION LEVEL REPEATABLE READ")
        old.exec_driver_sql("SELECT * FROM things")

        def watch() -> None:
            waiting = text("""
                SELECT l.mode, l.relation::regclass::text FROM pg_locks l JOIN pg_stat_activity a USING (pid)
                WHERE a.wait_event = 'virtualxid' AND l.relation = 'things'::regclass AND l.granted
                  AND a.datname = current_database()
                """)

            def found() -> bool:
                held.update((row[0], row[1]) for row in watcher.execute(waiting))
                return bool(held)

            wait_until(found)
            old.exec_driver_sql("COMMIT")

        watching = threading.Thread(target=watch)
        watching.start()
        upgrade = examined("pending").migrations[0].upgrade
        watching.join()
    assert upgrade and not upgrade.failure
    noted = [lock for each in upgrade.statements for lock in each.locks]
    assert {(lock.mode, lock.name) for lock in noted} == held


def test_a_failure_has_its_line_and_ends_the_examination(examined: Examine) -> None:
    second = """
    def upgrade():
        op.execute("SELECT 1")
        op.execute("CREATE INDEX CONCURRENTLY things_name ON things (name)")
    """
    one, two, three = examined(a=THINGS, b=second, c="").migrations
    assert two.upgrade and two.upgrade.failure and two.upgrade.failure.line == 8
    assert two.upgrade.failure.message == "CREATE INDEX CONCURRENTLY cannot run inside a transaction block"
    assert (one.downgrade, three.upgrade) == (None, None)


def test_a_downgrade_is_compared_with_the_structure_before_and_after(examined: Examine) -> None:
    second = """
    def upgrade():
        op.execute("ALTER TABLE things ADD CONSTRAINT named CHECK (name <> '')")
        op.execute("CREATE SEQUENCE IF NOT EXISTS numbers")
        op.execute("CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1'")


    def downgrade():
        op.execute("ALTER TABLE things DROP CONSTRAINT named")
        op.execute("DROP FUNCTION one()")
        op.execute("ALTER SEQUENCE numbers INCREMENT 2")
    """
    first, found = examined(a=THINGS, b=second).migrations
    assert found.left_over == ["sequence numbers is left over"]
    assert found.not_restored == ["sequence numbers: increment was 1 and is 2"]
    # What the newer one leaves is not a fault of the older one.
    assert not first.left_over and not first.not_restored


def test_merges_are_applied_and_taken_back(examined: Examine, tmp_path: Path) -> None:
    write_service(tmp_path, {"a": THINGS})
    for name in ("b", "c"):
        write_migration(
            tmp_path,
            name,
            "a",
            f"""
            def upgrade():
                op.execute("ALTER TABLE things ADD COLUMN {name} int")


            def downgrade():
                op.execute("ALTER TABLE things DROP COLUMN {name}")
            """,
        )
    write_migration(tmp_path, "d", ("b", "c"), "")
    found = examined()
    assert found.heads == ["d"]
    assert [each.revision for each in found.migrations][0::3] == ["a", "d"]
    assert all(each.downgrade and not each.downgrade.failure for each in found.migrations)
    assert not any(each.left_over or each.not_restored for each in found.migrations)


def test_several_heads_are_not_run(examined: Examine, tmp_path: Path) -> None:
    write_service(tmp_path, {"a": THINGS})
    write_migration(tmp_path, "b", None, "")
    found = examined()
    assert sorted(found.heads) == ["a", "b"]
    assert found.migrations[0].upgrade is None


@pytest.mark.parametrize(
    "body, place",
    [
        ("def upgrade(:\n", ("migrations/versions/b.py", 5, "invalid syntax")),
        ("raise ValueError('no')\n", ("migrations/versions/b.py", 5, "ValueError('no')")),
    ],
)
def test_a_file_that_cannot_be_loaded_is_named(
    examined: Examine, body: str, place: tuple[str, int, str]
) -> None:
    found = examined(a=THINGS, b=body).unreadable
    assert found and (found.file, found.line, found.message) == place


def test_a_database_that_does_not_answer_says_nothing_about_the_migrations(
    examined: Examine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write_service(tmp_path, {"a": THINGS})
    monkeypatch.setenv("DATABASE_URL", "postgresql://postgres@127.0.0.1:1/none")
    with pytest.raises(Exception, match="connection"):
        examined()


SECOND = """
def upgrade():
    op.execute("ALTER TABLE things ADD COLUMN size int DEFAULT 1")


def downgrade():
    op.execute("ALTER TABLE things DROP COLUMN size")
"""


def test_rows_that_a_downgrade_loses_are_named(examined: Examine, url: str, tmp_path: Path) -> None:
    third = """
    def upgrade():
        op.execute("ALTER TABLE things ADD COLUMN note text")


    def downgrade():
        op.execute("ALTER TABLE things DROP COLUMN note")
        op.execute("DELETE FROM things WHERE id = 1")
    """
    examined(a=THINGS, b=SECOND, c=third)
    with connection_to(url) as connection:
        connection.exec_driver_sql("INSERT INTO things VALUES (1, 'a', 7, NULL), (2, 'b', 8, NULL)")
    a, b, c = examined("rows").migrations
    assert c.lost == ["table things: 2 rows became 1"]
    assert b.lost == ["values of things.size"]
    assert a.lost == ["table things: 1 row became 0"]


def test_a_downgrade_that_keeps_the_rows_loses_nothing(examined: Examine, url: str) -> None:
    swapped = """
    def upgrade():
        op.execute("ALTER TABLE things RENAME COLUMN name TO title")


    def downgrade():
        op.execute("ALTER TABLE things RENAME COLUMN title TO name")
    """
    examined(a=THINGS, b=swapped)
    with connection_to(url) as connection:
        connection.exec_driver_sql("INSERT INTO things VALUES (1, 'a'), (2, NULL)")
    assert examined("rows").migrations[1].lost == []


def test_values_that_change_places_are_lost(examined: Examine, url: str) -> None:
    swapping = """
    def upgrade():
        pass


    def downgrade():
        op.execute("UPDATE things SET name = CASE id WHEN 1 THEN 'b' ELSE 'a' END")
    """
    examined(a=THINGS, b=swapping)
    with connection_to(url) as connection:
        connection.exec_driver_sql("INSERT INTO things VALUES (1, 'a'), (2, 'b')")
    assert examined("rows").migrations[1].lost == ["which values of things belong together"]


def test_a_database_that_is_not_up_to_date_is_not_examined_with_rows(
    examined: Examine, tmp_path: Path
) -> None:
    write_service(tmp_path, {"a": THINGS})
    with pytest.raises(RuntimeError, match="1 migrations have not been applied"):
        examined("rows")


def test_a_downgrade_that_fails_ends_the_examination(examined: Examine) -> None:
    second = """
    def downgrade():
        op.execute("DROP TABLE missing")
    """
    first, found = examined(a=THINGS, b=second).migrations
    assert found.downgrade and found.downgrade.failure
    assert found.downgrade.failure.message == 'table "missing" does not exist'
    assert first.downgrade is None


def test_a_migration_that_cannot_be_applied_again_says_why(examined: Examine) -> None:
    kept = """
    def upgrade():
        op.execute("CREATE TABLE things (id int PRIMARY KEY)")
    """
    (found,) = examined(a=kept).migrations
    assert "table things is left over" in found.left_over
    assert found.not_restored == ['relation "things" already exists']


@pytest.mark.parametrize(
    "second, insert, failing",
    [
        (
            """
            def downgrade():
                op.execute("SELECT 1 / (2 - count(*)) FROM things")
            """,
            "INSERT INTO things VALUES (1, 'a'), (2, 'b')",
            "downgrade",
        ),
        (
            """
            def upgrade():
                op.execute("ALTER TABLE things ADD COLUMN size int NOT NULL")


            def downgrade():
                op.execute("ALTER TABLE things DROP COLUMN size")
            """,
            "INSERT INTO things VALUES (1, 'a', 1), (2, 'b', 2)",
            "upgrade",
        ),
    ],
)
def test_what_fails_with_rows_only_is_a_failure(
    examined: Examine, url: str, second: str, insert: str, failing: str
) -> None:
    examined(a=THINGS, b=second)
    with connection_to(url) as connection:
        connection.exec_driver_sql(insert)
    a, b = examined("rows").migrations
    found = b.upgrade if failing == "upgrade" else b.downgrade
    assert found and found.failure
    assert a.downgrade is None


def test_a_configuration_that_alembic_refuses_is_named(examined: Examine, tmp_path: Path) -> None:
    write_service(tmp_path, {"a": THINGS})
    (tmp_path / "alembic.ini").write_text("[alembic]\n")
    found = examined().unreadable
    assert found and (found.file, found.line) == ("alembic.ini", 1)


def test_models_that_the_migrations_do_not_make_are_named(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    env = """
from sqlalchemy import Column, Integer, MetaData, Table
from servicekit.migrations import run_environment

models = MetaData()
Table("others", models, Column("id", Integer, primary_key=True))
run_environment(models)
"""
    write_service(tmp_path, {"a": THINGS}, env)
    monkeypatch.chdir(tmp_path)
    (difference,) = examine("empty", tmp_path).model_differences
    assert "others" in difference
