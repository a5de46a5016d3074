"""The lock that lets one process at a time migrate a database."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, text

# The same numbers in all services are fine: locks are per database.
LOCK_KEY = 727_001
# Held for a whole operation, its backup included, in which the migrations take the lock above.
OPERATION_LOCK_KEY = 727_002
WAIT_SECONDS = 60.0
_POLL_SECONDS = 0.5


class MigrationError(Exception):
    """A database that cannot be migrated now. The message says why, and what to do."""


class Lock:
    """The database's lock, held by a session of its own."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def check(self) -> None:
        """Raises when the session that holds the lock has ended, because then others may migrate too."""
        self._connection.exec_driver_sql("SELECT 1")


@contextmanager
def exclusive(engine: Engine, wait_seconds: float = WAIT_SECONDS, key: int = LOCK_KEY) -> Iterator[Lock]:
    """Holds the lock `key` during the block.

    The lock has a connection of its own: on the connection that migrates, it would end with
    `autocommit_block`. It is polled in autocommit: a session that waits for it in a statement has a
    snapshot, and CREATE INDEX CONCURRENTLY waits for old snapshots, so the two would wait for each other.

    Raises MigrationError when it is not free after `wait_seconds`, or cannot be held through a connection
    pooler.
    """
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        refuse_pooler(connection)
        deadline = time.monotonic() + wait_seconds
        while not connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": key}):
            if time.monotonic() > deadline:
                raise MigrationError(
                    f"another process is migrating this database: {_holder(connection, key)}."
                    f" Waited {wait_seconds:g} s."
                )
            time.sleep(_POLL_SECONDS)
        # The lock ends with its connection, which is not pooled.
        yield Lock(connection)


def refuse_pooler(connection: Connection) -> None:
    """Raises MigrationError when a connection pooler is between this process and PostgreSQL.

    In transaction mode each statement may reach another session, so that the lock, time-outs and `SET` are
    lost. A pooler answers for the server when a client connects, with a process id that is not that of the
    session.
    """
    driver = connection.connection.dbapi_connection
    assert driver is not None
    told = driver.info.backend_pid
    session = connection.scalar(text("SELECT pg_backend_pid()"))
    if told != session:
        raise MigrationError(
            f"a connection pooler such as PgBouncer is in the way (it reports process {told},"
            f" the session is {session})."
            " Give the address of PostgreSQL itself, or a separate address for migrations."
        )


def _holder(connection: Connection, key: int) -> str:
    found = connection.execute(
        text("""
            SELECT a.pid, a.application_name, a.client_addr::text, now() - a.backend_start
            FROM pg_locks l JOIN pg_stat_activity a USING (pid)
            WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
              AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
              AND (l.classid::bigint << 32) + l.objid::bigint = :key
            """),
        {"key": key},
    ).first()
    if found is None:
        return "it has just ended"
    pid, application, address, age = found
    return (
        f"process {pid}{f' ({application})' if application else ''} from {address or 'a socket'}, for {age}"
    )
