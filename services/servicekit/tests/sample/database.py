"""The command `database` of the service in the folder SERVICE_FOLDER."""

import os
from pathlib import Path

from servicekit.migrations import environment
from servicekit.migrations.command import database_commands
from tests.migrating import package_of

# A busy machine takes its time.
environment.STATEMENT_TIMEOUT_MS = environment.LOCK_TIMEOUT_MS = 600_000
database_commands(package_of(Path(os.environ["SERVICE_FOLDER"])))()
