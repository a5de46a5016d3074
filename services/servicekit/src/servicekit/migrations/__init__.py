"""Alembic migrations: how a service runs them, and what its `migrations/env.py` and its migrations need."""

from servicekit.migrations.batches import in_batches
from servicekit.migrations.environment import alembic_config, outside_transaction, run_environment
from servicekit.migrations.lock import MigrationError
from servicekit.migrations.run import Limits, downgrade, upgrade

__all__ = [
    "Limits",
    "MigrationError",
    "alembic_config",
    "downgrade",
    "in_batches",
    "outside_transaction",
    "run_environment",
    "upgrade",
]
