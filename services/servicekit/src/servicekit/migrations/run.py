"""Migrating a live database: one migration at a time, giving way to the services that use it."""

import logging
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from alembic.config import Config
from alembic.runtime.migration import RevisionStep
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from psycopg import sql
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError
from tenacity import RetryCallState, Retrying, retry_if_exception, wait_fixed, wait_random_exponential

from servicekit.migrations import steps
from servicekit.migrations.environment import alembic_config, migration_engine
from servicekit.migrations.lock import WAIT_SECONDS, Lock, MigrationError, exclusive
from servicekit.settings import DatabaseSettings

log = logging.getLogger(__name__)

_WATCH_SECONDS = 0.2
# As long as services may have waited for the migration, so that they catch up before the next attempt.
_SHORTEST_PAUSE_SECONDS = 1.0

Event = dict[str, Any]
Report = Callable[[Event], None]
Choose = Callable[[ScriptDirectory, steps.Heads], list[RevisionStep]]


@dataclass(frozen=True)
class Limits:
    """Seconds that a run may wait."""

    # For another process that migrates the same database.
    lock: float = WAIT_SECONDS
    # For the database and for locks of others, since the last migration that succeeded.
    patience: float = 60.0


def log_event(event: Event) -> None:
    """Writes an event to the log."""
    log.info("%s", event["event"], extra={key: value for key, value in event.items() if key != "event"})


def upgrade(
    settings: DatabaseSettings,
    package: ModuleType,
    revision: steps.Target = "head",
    *,
    limits: Limits | None = None,
    report: Report = log_event,
) -> None:
    """Brings the database to `revision`, one migration at a time. Stopped at any point, it goes on when
    called again.

    Processes that do so at the same time wait for each other. A migration that cannot get a lock within
    seconds gives way and tries again, with pauses that grow and vary.

    Raises MigrationError when the database cannot be migrated now, with the sessions that are in the way.
    """

    def choose(script: ScriptDirectory, heads: steps.Heads) -> list[RevisionStep]:
        return steps.pending(script, revision, heads)

    _Run(alembic_config(settings, package), limits or Limits(), report).run(choose, revision)


def downgrade(
    settings: DatabaseSettings,
    package: ModuleType,
    revision: str,
    *,
    limits: Limits | None = None,
    report: Report = log_event,
) -> None:
    """Takes the database back to `revision`; `base` is the empty database. See `upgrade`."""

    def choose(script: ScriptDirectory, heads: steps.Heads) -> list[RevisionStep]:
        return list(script._downgrade_revs(revision, heads))  # type: ignore[arg-type]

    _Run(alembic_config(settings, package), limits or Limits(), report).run(choose, None)


class _Run:
    def __init__(self, config: Config, limits: Limits, report: Report) -> None:
        self._config = config
        self._limits = limits
        self._report = report
        self._script = ScriptDirectory.from_config(config)
        self._engine = migration_engine(config)
        self._progress = time.monotonic()
        self._blockers: list[str] = []

    def run(self, choose: Choose, target: steps.Target | None) -> None:
        heads = self._script.get_heads()
        if len(heads) > 1:
            raise MigrationError(
                f"there are {len(heads)} heads ({', '.join(heads)}): merge them with `alembic merge`"
            )
        retrying = Retrying(
            retry=retry_if_exception(_may_pass),
            wait=wait_fixed(_SHORTEST_PAUSE_SECONDS) + wait_random_exponential(multiplier=0.5, max=5),
            stop=lambda _: time.monotonic() - self._progress > self._limits.patience,
            before_sleep=self._report_retry,
            reraise=True,
        )
        try:
            retrying(self._pass, choose, target)
        except OperationalError as error:
            raise MigrationError(self._explain(error)) from error
        except CommandError as error:
            raise MigrationError(explain_command(error)) from error

    def _pass(self, choose: Choose, target: steps.Target | None) -> None:
        """Runs all migrations that are pending. After an error, the next pass finds those that are left."""
        self._blockers = []
        self._config.attributes["locked"] = True
        with exclusive(self._engine, self._limits.lock) as lock:
            waiting = choose(self._script, steps.read_heads(self._config, self._script))
            self._repair(waiting)
            while waiting:
                lock.check()
                waiting = self._next(choose, lock)
            self._verify(target)

    def _next(self, choose: Choose, lock: Lock) -> list[RevisionStep]:
        """Runs the next migration, and returns those behind it."""
        waiting: list[RevisionStep] = []

        def first(heads: steps.Heads) -> list[RevisionStep]:
            waiting.extend(choose(self._script, heads))
            return waiting[:1]

        began = time.monotonic()
        with self._watched() as on_connect:
            self._config.attributes["on_connect"] = on_connect
            try:
                steps.run(self._config, self._script, first)
            finally:
                del self._config.attributes["on_connect"]
        if waiting:
            self._progress = time.monotonic()
            self._report(
                {
                    "event": "upgraded" if waiting[0].is_upgrade else "downgraded",
                    "revision": steps.script_of(waiting[0]).revision,
                    "seconds": round(self._progress - began, 3),
                }
            )
        return waiting[1:]

    @contextmanager
    def _watched(self) -> Iterator[Callable[[Connection], None]]:
        """Notes which sessions the connection that migrates waits for, by asking on another connection."""
        stop = threading.Event()
        threads: list[threading.Thread] = []

        def on_connect(connection: Connection) -> None:
            pid = connection.scalar(text("SELECT pg_backend_pid()"))
            threads.append(threading.Thread(target=self._watch, args=(pid, stop), daemon=True))
            threads[-1].start()

        try:
            yield on_connect
        finally:
            stop.set()
            for thread in threads:
                thread.join()

    def _watch(self, pid: int, stop: threading.Event) -> None:
        # A database that ends this connection ends that of the migration too, which reports it.
        with suppress(OperationalError), self._autocommit() as connection:
            while not stop.wait(_WATCH_SECONDS):
                if found := _blockers(connection, pid):
                    self._blockers = found

    def _repair(self, waiting: list[RevisionStep]) -> None:
        """Drops or rebuilds the indexes that an interrupted CREATE INDEX CONCURRENTLY left INVALID.

        An index that a waiting migration names is dropped, because that migration builds it again.
        """
        sources = [Path(steps.script_of(step).path).read_text(encoding="utf-8") for step in waiting]
        with self._autocommit() as connection:
            for name, index in _invalid_indexes(connection):
                # REINDEX leaves these when it is interrupted; the index itself is still valid.
                temporary = re.search(r"_cc(new|old)\d*$", name)
                built_again = any(re.search(rf"\b{re.escape(name)}\b", source) for source in sources)
                drops = bool(temporary or built_again)
                connection.exec_driver_sql("SET statement_timeout = '1h'")
                connection.exec_driver_sql("SET lock_timeout = '1h'")
                repair = (
                    sql.SQL("DROP INDEX CONCURRENTLY IF EXISTS {}")
                    if drops
                    else sql.SQL("REINDEX INDEX CONCURRENTLY {}")
                )
                statement = repair.format(index).as_string()
                connection.exec_driver_sql(statement.replace("%", "%%"))
                self._report({"event": "repaired", "index": name, "by": "drop" if drops else "reindex"})

    def _verify(self, target: steps.Target | None) -> None:
        heads = steps.read_heads(self._config, self._script)
        if target is not None:
            missing = steps.pending(self._script, target, heads)
            if missing:
                names = ", ".join(steps.script_of(step).revision for step in missing)
                raise MigrationError(f"the migrations ended well, but the database has no record of {names}")
        with self._autocommit() as connection:
            if invalid := _invalid_indexes(connection):
                names = ", ".join(name for name, _ in invalid)
                raise MigrationError(
                    f"PostgreSQL does not use these indexes, their build did not finish: {names}"
                )
        self._report({"event": "verified", "heads": list(heads)})

    @contextmanager
    def _autocommit(self) -> Iterator[Connection]:
        with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            yield connection

    def _report_retry(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        pause = state.next_action.sleep if state.next_action else 0
        self._report(
            {
                "event": "retrying",
                "because": str(getattr(error, "orig", error)).splitlines()[0],
                "blockers": self._blockers,
                "pause": round(pause, 3),
            }
        )

    def _explain(self, error: OperationalError) -> str:
        cause = str(error.orig).splitlines()[0]
        if _state(error) == _QUERY_CANCELED:
            return f"{cause}. The migration was rolled back: it may not run for so long while it holds locks."
        if self._blockers:
            return f"{cause}. In the way: {'; '.join(self._blockers)}"
        return cause


_QUERY_CANCELED = "57014"


def _state(error: OperationalError) -> str | None:
    return getattr(error.orig, "sqlstate", None)


def _may_pass(error: BaseException) -> bool:
    """Whether trying again may help: not for a statement that took too long, nor for wrong credentials."""
    return (
        isinstance(error, OperationalError)
        and _state(error) != _QUERY_CANCELED
        # An error before the session starts has no SQLSTATE.
        and not re.search(
            r"authentication failed|no password supplied|(role|database) \".*\" does not exist", str(error)
        )
    )


def explain_command(error: CommandError) -> str:
    """An error of Alembic in words that say what to do."""
    if unknown := re.search(r"Can't locate revision identified by '(.*)'", str(error)):
        return (
            f"the database is at revision {unknown[1]}, which this image does not have: a newer"
            " release migrated it."
            " Migrate with that release, or take the revision back with it."
        )
    return str(error)


def _blockers(connection: Connection, pid: int) -> list[str]:
    found = connection.execute(
        text("""
            SELECT format('process %s of %s%s, %s for %s: %s', a.pid, a.usename,
                          coalesce(' (' || nullif(a.application_name, '') || ')', ''), a.state,
                          date_trunc('second', now() - a.xact_start),
                          left(regexp_replace(a.query, '\\s+', ' ', 'g'), 200))
            FROM (SELECT DISTINCT unnest(pg_blocking_pids(:pid)) AS pid) AS b
            JOIN pg_stat_activity a USING (pid)
            """),
        {"pid": pid},
    )
    return [row[0] for row in found]


def _invalid_indexes(connection: Connection) -> list[tuple[str, sql.Identifier]]:
    """Name, and name with schema, of each index that is INVALID and not being built now."""
    found = connection.execute(text("""
            SELECT n.nspname, c.relname
            FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
            JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE NOT i.indisvalid AND c.relkind = 'i' AND n.nspname !~ '^pg_'
              AND NOT EXISTS (SELECT FROM pg_stat_progress_create_index p WHERE p.index_relid = c.oid)
            ORDER BY 2
            """))
    return [(name, sql.Identifier(schema, name)) for schema, name in found]
