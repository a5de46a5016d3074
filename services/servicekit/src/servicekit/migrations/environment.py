"""How Alembic connects: what a service's `migrations/env.py` runs, and what its migrations use."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import ModuleType

from alembic import context, op
from alembic.config import Config
from sqlalchemy import Engine, MetaData, TextClause, create_engine, text
from sqlalchemy.pool import NullPool

from servicekit.database import connect_arguments
from servicekit.migrations.lock import exclusive
from servicekit.settings import DatabaseSettings, sqlalchemy_url

# A statement that waits for a lock makes everything behind it wait too, so it gives way and tries again. Half
# of what services wait for a lock or a connection: what has queued up needs time to be answered as well.
LOCK_TIMEOUT_MS = 1_000
# For as long as a statement may hold a lock that blocks the running services.
STATEMENT_TIMEOUT_MS = 5_000
_CONNECT_TIMEOUT_SECONDS = 5


def alembic_config(settings: DatabaseSettings, package: ModuleType) -> Config:
    """Alembic's configuration for the migrations in the package's folder `migrations`."""
    assert package.__file__ is not None
    config = Config()
    config.set_main_option("script_location", str(Path(package.__file__).parent / "migrations"))
    config.attributes["url"] = settings.sqlalchemy_url
    return config


def database_url(config: Config) -> str:
    """The address from `alembic_config`, or from DATABASE_URL when the `alembic` command itself is used."""
    return str(config.attributes.get("url") or sqlalchemy_url(os.environ["DATABASE_URL"]))


def migration_engine(config: Config) -> Engine:
    """An engine whose connections have the limits of a migration."""
    return create_engine(
        database_url(config),
        poolclass=NullPool,
        connect_args=connect_arguments(_CONNECT_TIMEOUT_SECONDS, STATEMENT_TIMEOUT_MS, LOCK_TIMEOUT_MS),
        hide_parameters=True,
    )


def run_environment(metadata: MetaData) -> None:
    """The whole of a service's `migrations/env.py`.

    Each migration has a transaction of its own. The attribute `on_connect` of the configuration is called
    with the connection; the attribute `locked` says that the caller holds the database's lock already.
    """
    config = context.config
    if context.is_offline_mode():
        context.configure(
            url=database_url(config),
            target_metadata=metadata,
            literal_binds=True,
            transaction_per_migration=True,
        )
        context.execute(_limit("lock_timeout", LOCK_TIMEOUT_MS))
        context.execute(_limit("statement_timeout", STATEMENT_TIMEOUT_MS))
        with context.begin_transaction():
            context.run_migrations()
        return
    engine = migration_engine(config)
    with (
        nullcontext() if config.attributes.get("locked") else exclusive(engine),
        engine.connect() as connection,
    ):
        if on_connect := config.attributes.get("on_connect"):
            on_connect(connection)
            # Alembic would not commit in a transaction that it did not begin.
            connection.rollback()
        context.configure(
            connection=connection,
            target_metadata=metadata,
            transaction_per_migration=True,
            compare_type=True,
        )
        with context.begin_transaction():
            context.run_migrations()
    engine.dispose()


@contextmanager
def outside_transaction(limit_seconds: int = 3_600) -> Iterator[None]:
    """For statements that run long and block no reads or writes: CREATE INDEX CONCURRENTLY, VALIDATE
    CONSTRAINT.

    They commit one by one, and may wait and run for up to `limit_seconds`. A migration that is stopped in
    between runs again from its beginning, so it uses IF NOT EXISTS and does nothing else.
    """
    with op.get_context().autocommit_block():
        op.execute(_limit("statement_timeout", limit_seconds * 1000))
        op.execute(_limit("lock_timeout", limit_seconds * 1000))
        try:
            yield
        finally:
            op.execute("RESET lock_timeout")
            op.execute("RESET statement_timeout")


def _limit(name: str, milliseconds: int) -> TextClause:
    return text("SELECT set_config(:name, :value, false)").bindparams(name=name, value=str(milliseconds))
