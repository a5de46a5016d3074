"""Alembic migrations: how a service runs them, and what its `migrations/env.py` needs."""

import logging
import os
from pathlib import Path
from types import ModuleType

from alembic import command, context
from alembic.config import Config
from sqlalchemy import Connection, MetaData, create_engine, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool
from tenacity import (
    before_sleep_log,
    retry,
    retry_if_exception_type,
    stop_after_delay,
    wait_random_exponential,
)

from servicekit.database import connect_arguments
from servicekit.settings import ServiceSettings, sqlalchemy_url

log = logging.getLogger(__name__)

# The same number in all services is fine: the lock is per database.
_ADVISORY_LOCK = 727_001
_STATEMENT_TIMEOUT_MS = 300_000
_GIVE_UP_AFTER_SECONDS = 60


def alembic_config(settings: ServiceSettings, package: ModuleType) -> Config:
    """Alembic's configuration for the migrations in the package's folder `migrations`."""
    assert package.__file__ is not None
    config = Config()
    config.set_main_option("script_location", str(Path(package.__file__).parent / "migrations"))
    config.attributes["url"] = settings.sqlalchemy_url
    return config


def upgrade(settings: ServiceSettings, package: ModuleType, revision: str = "head") -> None:
    """Brings the database to `revision`. Processes that do so at the same time wait for each other. Waits for
    the database, and tries again when a lock is not free in time, for up to a minute."""
    _retrying(lambda: command.upgrade(alembic_config(settings, package), revision))


def downgrade(settings: ServiceSettings, package: ModuleType, revision: str) -> None:
    """Takes the database back to `revision`; `base` is the empty database."""
    _retrying(lambda: command.downgrade(alembic_config(settings, package), revision))


_retrying = retry(
    retry=retry_if_exception_type(OperationalError),
    wait=wait_random_exponential(multiplier=0.5, max=5),
    stop=stop_after_delay(_GIVE_UP_AFTER_SECONDS),
    before_sleep=before_sleep_log(log, logging.WARNING),
    reraise=True,
)(lambda step: step())


def run_environment(metadata: MetaData) -> None:
    """The whole of a service's `migrations/env.py`. The address comes from `alembic_config`, or from
    DATABASE_URL when the `alembic` command itself is used."""
    url = context.config.attributes.get("url") or sqlalchemy_url(os.environ["DATABASE_URL"])
    if context.is_offline_mode():
        context.configure(url=url, target_metadata=metadata, literal_binds=True)
        with context.begin_transaction():
            context.run_migrations()
        return
    engine = create_engine(
        url,
        poolclass=NullPool,
        connect_args=connect_arguments(5, _STATEMENT_TIMEOUT_MS),
        hide_parameters=True,
    )
    with engine.connect() as connection:
        _run_online(connection, metadata)
    engine.dispose()


def _run_online(connection: Connection, metadata: MetaData) -> None:
    # The session's lock outlives the transactions of the migrations and ends with the connection.
    connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _ADVISORY_LOCK})
    connection.commit()
    context.configure(
        connection=connection, target_metadata=metadata, transaction_per_migration=True, compare_type=True
    )
    with context.begin_transaction():
        context.run_migrations()
