"""Services with migrations that tests write."""

import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from alembic.config import Config
from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.pool import NullPool

from servicekit.settings import sqlalchemy_url

_ENV = """
from sqlalchemy import MetaData
from servicekit.migrations import run_environment

run_environment(MetaData())
"""


def write_service(folder: Path, migrations: dict[str, str], env: str = _ENV) -> None:
    """A service's folder with `alembic.ini` and migrations by revision, each behind the one before it."""
    versions = folder / "migrations" / "versions"
    versions.mkdir(parents=True)
    (folder / "alembic.ini").write_text("[alembic]\nscript_location = migrations\npath_separator = os\n")
    (folder / "migrations" / "env.py").write_text(env)
    parent = None
    for revision, body in migrations.items():
        write_migration(folder, revision, parent, body)
        parent = revision


def write_migration(folder: Path, revision: str, parents: object, body: str) -> None:
    """A migration whose functions come from `body`; those that it lacks do nothing."""
    text = (
        "from alembic import op\n"
        "from servicekit.migrations import in_batches, outside_transaction\n"
        f"revision = {revision!r}\ndown_revision = {parents!r}\n" + textwrap.dedent(body)
    )
    for name in ("upgrade", "downgrade"):
        if f"def {name}(" not in text:
            text += f"\n\ndef {name}():\n    pass\n"
    (folder / "migrations" / "versions" / f"{revision}.py").write_text(text)


def package_of(folder: Path) -> ModuleType:
    """What `upgrade` and `downgrade` take for a service in this folder."""
    package = ModuleType("written")
    package.__file__ = str(folder / "__init__.py")
    return package


def config_of(folder: Path, url: str) -> Config:
    """Alembic's configuration for a written service."""
    config = Config(str(folder / "alembic.ini"))
    config.set_main_option("script_location", str(folder / "migrations"))
    config.attributes["url"] = sqlalchemy_url(url)
    return config


def engine_for(url: str) -> Engine:
    """Connections that commit each statement."""
    return create_engine(sqlalchemy_url(url), poolclass=NullPool, isolation_level="AUTOCOMMIT")


@contextmanager
def connection_to(url: str) -> Iterator[Connection]:
    """A connection that commits each statement."""
    with engine_for(url).connect() as connection:
        yield connection
