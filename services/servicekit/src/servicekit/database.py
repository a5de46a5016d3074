"""PostgreSQL through SQLAlchemy, with limits on everything that could wait."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

from fastapi import Depends, Request
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.pool import QueuePool

from servicekit.metrics import DB_POOL_IN_USE, DB_POOL_SIZE
from servicekit.settings import ServiceSettings

_LOCK_TIMEOUT_MS = 2000
_POOL_RECYCLE_SECONDS = 1800


class Database:
    """The service's database: a pool of at most `db_pool_size` connections, opened when first needed.

    Waiting for a free connection ends after `db_pool_timeout_seconds` with `sqlalchemy.exc.TimeoutError`, a
    statement after `db_statement_timeout_ms` with `OperationalError`; callers over HTTP see both as 503.
    """

    def __init__(self, settings: ServiceSettings) -> None:
        self.engine = _make_engine(settings, settings.db_pool_size)
        # Health checks have their own connection, so that a busy pool does not look like a dead database.
        self._probe = _make_engine(settings, 1)
        self._sessions = sessionmaker(self.engine, expire_on_commit=False)
        pool = self.engine.pool
        assert isinstance(pool, QueuePool)
        DB_POOL_SIZE.set(settings.db_pool_size)
        DB_POOL_IN_USE.set_function(pool.checkedout)

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A session in one transaction: committed at the end of the block, rolled back on an exception."""
        with self._sessions.begin() as session:
            yield session

    def check(self) -> None:
        """Raises when the database does not answer."""
        with self._probe.connect() as connection:
            connection.execute(text("SELECT 1"))

    def close(self) -> None:
        """Closes all connections."""
        self.engine.dispose()
        self._probe.dispose()


def get_database(request: Request) -> Database:
    """FastAPI dependency: the database at `app.state.database`."""
    database = request.app.state.database
    assert isinstance(database, Database)
    return database


DatabaseDependency = Annotated[Database, Depends(get_database)]


def connect_arguments(
    connect_timeout_seconds: int, statement_timeout_ms: int, lock_timeout_ms: int = _LOCK_TIMEOUT_MS
) -> dict[str, Any]:
    """Arguments for psycopg that put a limit on connecting, statements, locks and dead peers."""
    return {
        "connect_timeout": connect_timeout_seconds,
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "tcp_user_timeout": statement_timeout_ms + 5000,
        "options": f"-c statement_timeout={statement_timeout_ms} -c lock_timeout={lock_timeout_ms}"
        " -c idle_in_transaction_session_timeout=60000",
    }


def _make_engine(settings: ServiceSettings, pool_size: int) -> Engine:
    return create_engine(
        settings.sqlalchemy_url,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=settings.db_pool_timeout_seconds,
        pool_recycle=_POOL_RECYCLE_SECONDS,
        pool_pre_ping=True,
        connect_args=connect_arguments(settings.db_connect_timeout_seconds, settings.db_statement_timeout_ms),
        hide_parameters=True,
    )
