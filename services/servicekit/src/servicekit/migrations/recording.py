"""What a migration does while it runs: its statements, their lines, their limits and their locks."""

import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus
from sqlalchemy import Engine, event

from servicekit.migrations import batches


@dataclass(frozen=True)
class HeldLock:
    """A lock on a table, view or sequence."""

    mode: str
    # An id as in the catalogue.
    relation: str
    name: str


@dataclass
class Statement:
    """A statement that a migration ran."""

    sql: str
    # In the migration's file.
    line: int
    # It commits on its own; otherwise it is part of a transaction.
    autocommit: bool
    # It is one of the statements of `in_batches`.
    batch: bool
    lock_timeout_ms: int
    statement_timeout_ms: int
    # PostgreSQL's tag, such as `ALTER TABLE` or `UPDATE 12`; empty when the statement failed.
    tag: str = ""
    # All that the transaction held after it. An autocommitted statement has released its own, so that only
    # those of concurrent index builds are known.
    locks: list[HeldLock] = field(default_factory=list)
    seconds: float = 0.0


_BATCHES = Path(batches.__file__)
_LIMITS = "SELECT name, setting::int FROM pg_settings WHERE name IN ('lock_timeout', 'statement_timeout')"
# CREATE, DROP and REINDEX INDEX CONCURRENTLY hold this on the table until they end.
_CONCURRENT_MODE = "ShareUpdateExclusiveLock"
_CONCURRENT = re.compile(
    r"^\s*(?:create\s+(?:unique\s+)?index\s+concurrently\b.*?\son\s+(?:only\s+)?(?P<table>[^\s(]+)"
    r"|drop\s+index\s+concurrently\s+(?:if\s+exists\s+)?(?P<dropped>[^\s;]+)"
    r"|reindex\s+(?:\(.*?\)\s*)?index\s+concurrently\s+(?P<rebuilt>[^\s;]+))",
    re.IGNORECASE | re.DOTALL,
)
_CONCURRENT_TABLE = """
SELECT 'relation:' || c.oid, c.oid::regclass::text FROM pg_class c
WHERE c.oid = coalesce(
    (SELECT indrelid FROM pg_index WHERE indexrelid = to_regclass(%(name)s)), to_regclass(%(name)s))
"""
_LOCKS = """
SELECT l.mode, 'relation:' || c.oid, c.oid::regclass::text
FROM pg_locks l JOIN pg_class c ON c.oid = l.relation JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE l.pid = pg_backend_pid() AND l.granted AND l.locktype = 'relation'
  AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
  AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
ORDER BY 3, 1
"""


@contextmanager
def recorded(file: Path) -> Iterator[list[Statement]]:
    """The statements that the migration in `file` runs during the block, whichever engine it uses."""
    statements: list[Statement] = []
    began: list[float] = []

    def before(_conn: Any, cursor: Any, sql: str, parameters: Any, _context: Any, many: bool) -> None:
        line, batch = _line_of(file)
        if line is None:
            return
        driver = cursor.connection
        limits = dict(driver.cursor().execute(_LIMITS).fetchall())
        values = parameters[0] if many else parameters
        written = psycopg.ClientCursor(driver).mogrify(sql, values)
        statements.append(
            Statement(
                sql=written,
                line=line,
                autocommit=driver.autocommit,
                batch=batch,
                lock_timeout_ms=limits["lock_timeout"],
                statement_timeout_ms=limits["statement_timeout"],
                locks=_concurrent_locks(driver, written) if driver.autocommit else [],
            )
        )
        began.append(time.monotonic())

    def after(_conn: Any, cursor: Any, _sql: str, _parameters: Any, _context: Any, _many: bool) -> None:
        if _line_of(file)[0] is None:
            return
        driver = cursor.connection
        statements[-1].seconds = round(time.monotonic() - began[-1], 3)
        statements[-1].tag = cursor.statusmessage or ""
        if driver.info.transaction_status == TransactionStatus.INTRANS:
            statements[-1].locks = [HeldLock(*row) for row in driver.cursor().execute(_LOCKS).fetchall()]

    event.listen(Engine, "before_cursor_execute", before)
    event.listen(Engine, "after_cursor_execute", after)
    try:
        yield statements
    finally:
        event.remove(Engine, "before_cursor_execute", before)
        event.remove(Engine, "after_cursor_execute", after)


def _concurrent_locks(driver: psycopg.Connection[Any], written: str) -> list[HeldLock]:
    """The lock that a concurrent statement is going to hold, asked before it drops what names the table."""
    found = _CONCURRENT.match(written)
    if found is None:
        return []
    name = found["table"] or found["dropped"] or found["rebuilt"]
    row = driver.cursor().execute(_CONCURRENT_TABLE, {"name": name}).fetchone()
    return [HeldLock(_CONCURRENT_MODE, *row)] if row else []


def _line_of(file: Path) -> tuple[int | None, bool]:
    """The line of `file` that runs now, and whether it runs `in_batches`."""
    frame: FrameType | None = sys._getframe(2)
    batch = False
    while frame is not None:
        path = Path(frame.f_code.co_filename)
        if path == file:
            return frame.f_lineno, batch
        batch = batch or path == _BATCHES
        frame = frame.f_back
    return None, False
