"""Old and new code against a migrated copy of the database: real processes, on real PostgreSQL."""

import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.pool import NullPool

import recipes
from recipes import store
from recipes.seed import AUTHOR, seed_recipes
from recipes.settings import Settings
from servicekit import migrations
from servicekit.backups.throwaway import copy_name
from servicekit.database import Database
from servicekit.migrations.applications import COPY_NAME
from servicekit.settings import sqlalchemy_url
from servicekit.testing import PATIENT, Server, running_server, temporary_database
from tests.conftest import SECRET

pytestmark = pytest.mark.integration

SOURCE = Path(recipes.__file__).parent
HEAD = ScriptDirectory(SOURCE / "migrations").get_current_head()
# The one more migration of a release.
NEXT = "next"
NOWHERE = "redis://127.0.0.1:1/0"
# Seconds in which a command ends on a busy machine.
LONG = 300
EXPAND = "CREATE VIEW of_the_test AS SELECT count(*) AS recipes FROM recipes"
# Each runs well, and leaves the tables as the release's models have them.
TAGS = """UPDATE recipes SET tags = '{"kind": "pasta"}' WHERE slug = 'cacio-e-pepe'"""
INGREDIENTS = """UPDATE recipes SET ingredients = '[{"name": "spaghetti"}]'"""
DROP = "ALTER TABLE recipes DROP COLUMN photo_url"
WITHOUT_PHOTOS = {
    "models.py": ("    photo_url: Mapped[str | None]\n", ""),
    "schemas.py": ("    photo_url: str | None\n    tags", "    photo_url: str | None = None\n    tags"),
}
# New code that reads another column than the migration makes.
ANOTHER_COLUMN = {"store.py": ("RecipeRow.minutes.asc()", 'text("recipes.seconds")')}


@pytest.fixture
def url() -> Iterator[str]:
    """A live database with the recipes that come with the service."""
    with temporary_database(os.environ["DATABASE_URL"]) as url:
        values = {"database_url": url, "redis_url": NOWHERE, "jwt_secret_key": SECRET, **PATIENT}
        settings = Settings.model_validate(values)
        migrations.upgrade(settings, recipes)
        database = Database(settings)
        with database.session() as session:
            store.add_missing(session, seed_recipes(), AUTHOR)
        database.close()
        yield url


class Rehearsal:
    """The migration of a release, on a copy of the database that the release and older code serve from."""

    def __init__(self, url: str, folder: Path, processes: ExitStack) -> None:
        self.url, self.folder, self.processes = url, folder, processes

    def release(self, migration: str, changes: Mapping[str, tuple[str, str]] | None = None) -> Path:
        """The package of a release with one more migration, and with these changes of its modules."""
        package = self.folder / "release" / "recipes"
        shutil.copytree(SOURCE, package, ignore=shutil.ignore_patterns("__pycache__"))
        for name, (old, new) in (changes or {}).items():
            module = package / name
            assert module.read_text().count(old) == 1
            module.write_text(module.read_text().replace(old, new))
        body = f"""
            from alembic import op
            revision, down_revision = {NEXT!r}, {HEAD!r}
            def upgrade():
                op.execute({migration!r})
            def downgrade():
                pass
            """
        (package / "migrations" / "versions" / f"{NEXT}.py").write_text(textwrap.dedent(body))
        return package

    def serve(self, package: Path, **variables: str) -> Server:
        """Code that serves from the copy, which need not be there yet."""
        copy = make_url(os.environ["DATABASE_URL"]).set(database=copy_name(COPY_NAME))
        surroundings = {
            "DATABASE_URL": copy.render_as_string(hide_password=False),
            "REDIS_URL": NOWHERE,
            "JWT_SECRET_KEY": SECRET,
            **variables,
        }
        log = self.folder / f"log-{len(list(self.folder.glob('log-*')))}"
        arguments = ["-c", _main(package), "serve"]
        return self.processes.enter_context(running_server(arguments, surroundings, str(log)))

    def plan(self, package: Path, old: Mapping[str, Server], new: Server | None) -> list[dict[str, Any]]:
        """The events of a run on a copy."""
        places = ["--work", str(self.folder / "work")]
        serving = [f"--old-application={name}={_address(server)}" for name, server in old.items()]
        serving += [f"--new-application={_address(new)}"] if new else []
        ended = subprocess.run(
            [sys.executable, "-c", _main(package), "database", "migrate", "--plan-only", *places, *serving],
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(sys.path),
                "DATABASE_URL": self.url,
                "COPY_DATABASE_URL": os.environ["DATABASE_URL"],
            },
            capture_output=True,
            text=True,
            timeout=LONG,
        )
        events = [json.loads(line) for line in ended.stdout.splitlines()]
        assert events, ended.stderr
        assert ended.returncode == (1 if events[-1]["outcome"] == "failed" else 0)
        return events

    def head(self) -> Any:
        with create_engine(sqlalchemy_url(self.url), poolclass=NullPool).connect() as connection:
            return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _main(package: Path) -> str:
    # A busy machine takes its time.
    return (
        f"import sys; sys.path.insert(0, {str(package.parent)!r})\n"
        "from servicekit.migrations import applications, environment\n"
        "environment.STATEMENT_TIMEOUT_MS = environment.LOCK_TIMEOUT_MS = 600_000\n"
        "applications._PAUSE_SECONDS = 0.01\n"
        "from recipes.cli import cli; cli()"
    )


def _address(server: Server) -> str:
    return f"http://127.0.0.1:{server.port}"


@pytest.fixture
def rehearsal(url: str, tmp_path: Path) -> Iterator[Rehearsal]:
    with ExitStack() as processes:
        yield Rehearsal(url, tmp_path, processes)


def test_a_migration_that_both_can_live_with_is_planned(rehearsal: Rehearsal) -> None:
    release = rehearsal.release(EXPAND)
    *steps, result = rehearsal.plan(
        release, {"revision-1": rehearsal.serve(SOURCE)}, rehearsal.serve(release)
    )
    assert (result["outcome"], result["to"]) == ("planned", [NEXT]), result["message"]
    # Lists, searches, pages, some recipes, and what needs a token.
    reads = result["proven"]["revision-1"]
    assert reads > 15
    assert result["proven"] == {"revision-1": reads, "the new image": reads}
    done = [event["step"] for event in steps if event["state"] == "done"]
    assert done == ["plan", "copy", "record-reads", "dry-run", "replay-reads"]
    assert rehearsal.head() == HEAD


@pytest.mark.parametrize(
    ("migration", "changes", "reads"),
    [
        (TAGS, {}, r"GET /api/tags"),
        (INGREDIENTS, {}, r"GET /api/recipes/[a-z-]+"),
        (DROP, WITHOUT_PHOTOS, r"GET /api/recipes"),
    ],
)
def test_a_migration_that_passes_alone_and_breaks_old_code_is_refused(
    rehearsal: Rehearsal, migration: str, changes: Mapping[str, tuple[str, str]], reads: str
) -> None:
    release = rehearsal.release(migration, changes)
    result = rehearsal.plan(release, {"revision-1": rehearsal.serve(SOURCE)}, rehearsal.serve(release))[-1]
    assert (result["outcome"], result["step"]) == ("failed", "replay-reads"), result["message"]
    assert result["message"].startswith(f"code does not work with the database after {NEXT}: revision-1: ")
    assert re.search(f"{reads} answered 200 before the migration and 500 after it", result["message"])
    # The copy alone says nothing against it.
    assert rehearsal.plan(release, {}, None)[-1]["outcome"] == "planned"


def test_new_code_that_does_not_work_after_its_own_migration_is_refused(rehearsal: Rehearsal) -> None:
    release = rehearsal.release(EXPAND, ANOTHER_COLUMN)
    result = rehearsal.plan(release, {"revision-1": rehearsal.serve(SOURCE)}, rehearsal.serve(release))[-1]
    assert (result["outcome"], result["step"]) == ("failed", "replay-reads")
    assert result["message"] == (
        f"code does not work with the database after {NEXT}: the new image: GET /api/recipes?sort=quickest"
        " answers 500, and the code before it answered 200"
    )


def test_nothing_is_concluded_from_code_that_does_not_work_before(rehearsal: Rehearsal) -> None:
    elsewhere = rehearsal.serve(SOURCE, DATABASE_URL=os.environ["DATABASE_URL"])
    result = rehearsal.plan(rehearsal.release(EXPAND), {"revision-1": elsewhere}, None)[-1]
    assert (result["outcome"], result["step"]) == ("failed", "record-reads")
    assert re.fullmatch(
        r"revision-1 cannot be compared, before any migration runs: none of its \d+ reads succeeds:"
        " GET /api/recipes answers 500",
        result["message"],
    )
