"""One migration at a time, through the service's own `env.py`."""

from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext, MigrationStep, RevisionStep
from alembic.script import Script, ScriptDirectory

Heads = tuple[str, ...]


def run(config: Config, script: ScriptDirectory, choose: Callable[[Heads], Iterable[Any]]) -> Heads:
    """Runs the steps that `choose` returns for the database's heads, and returns the heads before them."""
    found: list[Heads] = []

    def steps(heads: Any, _: MigrationContext) -> Iterable[Any]:
        found.append(tuple(heads))
        return choose(found[-1])

    with EnvironmentContext(config, script, fn=steps):
        script.run_env()
    if not found:
        raise RuntimeError(
            f"{script.env_py_location} ran no migrations: it must call context.run_migrations()"
        )
    return found[0]


def read_heads(config: Config, script: ScriptDirectory) -> Heads:
    """The revisions that the database is at; none for an empty one."""
    return run(config, script, lambda _: [])


def pending(script: ScriptDirectory, target: str, heads: Heads) -> list[RevisionStep]:
    """The steps from the database's heads up to `target`, oldest first."""
    return list(script._upgrade_revs(target, heads))  # type: ignore[arg-type]


def down(script: ScriptDirectory, revision: Script) -> RevisionStep:
    """The step that takes back exactly this revision, at a merge point too."""
    return MigrationStep.downgrade_from_script(script.revision_map, revision)


def script_of(step: RevisionStep) -> Script:
    """The migration that a step runs."""
    script = step.revision
    assert isinstance(script, Script)
    return script


def oldest_first(script: ScriptDirectory) -> list[Script]:
    """All revisions, each behind those it builds on."""
    return list(reversed(list(script.walk_revisions())))


def line_in(file: Path, traceback: TracebackType | None) -> int | None:
    """The innermost line of a file that a traceback passes through."""
    line = None
    while traceback:
        if Path(traceback.tb_frame.f_code.co_filename) == file:
            line = traceback.tb_lineno
        traceback = traceback.tb_next
    return line
