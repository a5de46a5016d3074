"""Runs every migration on a throw-away database and writes what it does, as JSON.

    python -m servicekit.migrations.examine empty|rows|pending OUTPUT

Run it in a service's folder, with the address of the database in DATABASE_URL.

- `empty` applies each migration to an empty database, takes each back, and applies all again.
- `rows` takes a filled database that is up to date, and takes each migration back and applies it again, from
  the newest to the oldest.
- `pending` takes a copy of a live database and applies the migrations that it lacks, as a plan needs it.

A fault of a migration is written to the output, and the exit code is 0. With any other exit code the
examination did not finish, and says nothing about the migrations.
"""

import dataclasses
import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from alembic.config import Config
from alembic.runtime.migration import MigrationStep, RevisionStep
from alembic.script import Script, ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Engine, create_engine
from sqlalchemy.pool import NullPool

from servicekit.migrations import steps
from servicekit.migrations.catalogue import (
    DatabaseObject,
    TableRows,
    read_catalogue,
    read_rows,
    row_differences,
    structure_differences,
)
from servicekit.migrations.environment import database_url
from servicekit.migrations.recording import Statement, recorded


@dataclass
class Failure:
    """An exception that a migration raised."""

    message: str
    line: int


@dataclass
class Direction:
    """One run of `upgrade` or `downgrade`."""

    # Of the function in the migration's file.
    line: int
    statements: list[Statement] = field(default_factory=list)
    seconds: float = 0.0
    failure: Failure | None = None
    before: list[DatabaseObject] = field(default_factory=list)
    after: list[DatabaseObject] = field(default_factory=list)


@dataclass
class Migration:
    """One migration and what it does. Without an upgrade or downgrade, an earlier failure prevented it."""

    revision: str
    # Relative to the folder of the service.
    file: str
    parents: list[str]
    breaking: bool
    # What a downgrade loses, in the author's words.
    downgrade_loses: str | None
    # Rules that do not apply to this migration, each with the reason.
    accepted: dict[str, str]
    upgrade: Direction | None = None
    downgrade: Direction | None = None
    # How the structure differs after a downgrade from before the upgrade.
    left_over: list[str] = field(default_factory=list)
    # How the structure differs after upgrade, downgrade and upgrade.
    not_restored: list[str] = field(default_factory=list)
    # Rows that a downgrade lost or changed, and a new upgrade did not bring back.
    lost: list[str] = field(default_factory=list)


@dataclass
class Unreadable:
    """A file that Alembic cannot load."""

    file: str
    line: int
    message: str


@dataclass
class Examination:
    """All migrations, oldest first."""

    migrations: list[Migration]
    heads: list[str]
    # How the migrated database differs from the models.
    model_differences: list[str] = field(default_factory=list)
    unreadable: Unreadable | None = None


class Examiner:
    """Runs migrations one at a time and notes what each does."""

    def __init__(self, config: Config, folder: Path) -> None:
        self._config = config
        self._script = ScriptDirectory.from_config(config)
        self._engine: Engine = create_engine(database_url(config), poolclass=NullPool)
        self._scripts = steps.oldest_first(self._script)
        self.result = Examination(
            [_described(script, folder) for script in self._scripts], list(self._script.get_heads())
        )

    def examine_empty(self) -> None:
        """Applies each migration, takes each back, and applies all again."""
        if len(self.result.heads) != 1 or not all(self._up(each) for each in self._both()):
            return
        self.result.model_differences = steps.model_differences(self._config)
        for script, migration in reversed(self._both()):
            if not self._down((script, migration)):
                return
            assert migration.upgrade and migration.downgrade
            # What a newer migration left over is not this one's.
            inherited = structure_differences(migration.upgrade.after, migration.downgrade.before)
            found = structure_differences(migration.upgrade.before, migration.downgrade.after)
            migration.left_over = [line for line in found if line not in inherited]
        for script, migration in self._both():
            again = self._run(script, "upgrade")
            if again.failure:
                migration.not_restored = [again.failure.message]
                return
            assert migration.upgrade
            inherited = structure_differences(migration.upgrade.before, again.before)
            found = structure_differences(migration.upgrade.after, again.after)
            migration.not_restored = [line for line in found if line not in inherited]

    def examine_rows(self) -> None:
        """Takes each migration of a filled database back and applies it again, from the newest."""
        waiting = steps.pending(self._script, "heads", steps.read_heads(self._config, self._script))
        if waiting:
            raise RuntimeError(f"{len(waiting)} migrations have not been applied to the database with rows")
        for script, migration in reversed(self._both()):
            before = self._rows()
            if not self._down((script, migration)):
                return
            again = self._run(script, "upgrade")
            migration.upgrade = again
            if again.failure:
                return
            migration.lost = row_differences(before, self._rows())
            self._run(script, "downgrade")

    def examine_pending(self, target: steps.Target = "heads") -> None:
        """Applies the migrations that a copy of a live database lacks, up to `target`. The result has only
        these, and differences from the models when none is left."""
        waiting = steps.pending(self._script, target, steps.read_heads(self._config, self._script))
        both = self._only(waiting)
        if len(self.result.heads) == 1 and all(self._up(each) for each in both):
            if set(self.read_heads()) == set(self.result.heads):
                self.result.model_differences = steps.model_differences(self._config)

    def examine_downgrade(self, target: str) -> None:
        """Takes a copy of a live database back to `target`. The result has only the migrations that this
        takes back, with the rows that each loses."""
        waiting = list(self._script._downgrade_revs(target, self.read_heads()))  # type: ignore[arg-type]
        for each in reversed(self._only(waiting)):
            before = self._rows()
            if not self._down(each):
                return
            each[1].lost = row_differences(before, self._rows())

    def read_heads(self) -> steps.Heads:
        """The revisions that the database is at."""
        return steps.read_heads(self._config, self._script)

    def _only(self, waiting: list[RevisionStep]) -> list[tuple[Script, Migration]]:
        """Reduces the result to these migrations, oldest first."""
        revisions = {steps.script_of(step).revision for step in waiting}
        both = [each for each in self._both() if each[0].revision in revisions]
        self._scripts = [script for script, _ in both]
        self.result.migrations = [migration for _, migration in both]
        return both

    def _both(self) -> list[tuple[Script, Migration]]:
        return list(zip(self._scripts, self.result.migrations, strict=True))

    def _up(self, each: tuple[Script, Migration]) -> bool:
        script, migration = each
        migration.upgrade = self._run(script, "upgrade")
        return migration.upgrade.failure is None

    def _down(self, each: tuple[Script, Migration]) -> bool:
        script, migration = each
        migration.downgrade = self._run(script, "downgrade")
        return migration.downgrade.failure is None

    def _run(self, script: Script, direction: str) -> Direction:
        function: Callable[[], None] = getattr(script.module, direction)
        make: Callable[..., RevisionStep] = (
            MigrationStep.upgrade_from_script
            if direction == "upgrade"
            else MigrationStep.downgrade_from_script
        )
        result = Direction(function.__code__.co_firstlineno, before=self._catalogue())
        file = Path(script.path)
        began = time.monotonic()
        with recorded(file) as statements:
            try:
                steps.run(self._config, self._script, lambda _: [make(self._script.revision_map, script)])
            except Exception as error:
                line = steps.line_in(file, error.__traceback__)
                # Without a line of the migration it is the database or the environment that failed.
                if line is None:
                    raise
                message = str(getattr(error, "orig", None) or error).splitlines()
                result.failure = Failure(message[0] if message else type(error).__name__, line)
        result.statements = statements
        result.seconds = round(time.monotonic() - began, 3)
        result.after = self._catalogue()
        return result

    def _catalogue(self) -> list[DatabaseObject]:
        with self._engine.connect() as connection:
            return read_catalogue(connection)

    def _rows(self) -> dict[str, TableRows]:
        with self._engine.connect() as connection:
            return read_rows(connection)


def _described(script: Script, folder: Path) -> Migration:
    module: Any = script.module
    return Migration(
        revision=script.revision,
        file=str(Path(script.path).relative_to(folder)),
        parents=list(script._versioned_down_revisions),
        breaking=bool(getattr(module, "breaking", False)),
        downgrade_loses=getattr(module, "downgrade_loses", None),
        accepted=dict(getattr(module, "accepted", {})),
    )


def unreadable(error: BaseException, folder: Path) -> Unreadable | None:
    """The place of the service's own code that an error comes from; None when the service is not at fault."""
    if isinstance(error, SyntaxError) and error.filename:
        return Unreadable(os.path.relpath(error.filename, folder), error.lineno or 1, str(error.msg))
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if Path(frame.filename).is_relative_to(folder):
            return Unreadable(os.path.relpath(frame.filename, folder), frame.lineno or 1, repr(error))
    if isinstance(error, CommandError):
        return Unreadable("alembic.ini", 1, str(error))
    return None


_MODES: dict[str, Callable[[Examiner], None]] = {
    "empty": Examiner.examine_empty,
    "rows": Examiner.examine_rows,
    "pending": Examiner.examine_pending,
}


def examine(mode: str, folder: Path) -> Examination:
    """Examines the migrations of the service in `folder`."""
    try:
        examiner = Examiner(Config(str(folder / "alembic.ini")), folder)
    except Exception as error:
        if found := unreadable(error, folder):
            return Examination([], [], unreadable=found)
        raise
    _MODES[mode](examiner)
    return examiner.result


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in _MODES:
        sys.exit(__doc__)
    result = examine(sys.argv[1], Path.cwd())
    Path(sys.argv[2]).write_text(json.dumps(dataclasses.asdict(result), indent=1), encoding="utf-8")
