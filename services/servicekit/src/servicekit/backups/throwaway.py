"""A copy of a database, restored from a dump into a throw-away database."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from psycopg import sql
from sqlalchemy import Connection, Engine, create_engine, make_url, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from servicekit.backups import programs
from servicekit.backups.errors import BackupError
from servicekit.backups.manifest import Kind, Manifest, check_files, content_differences
from servicekit.backups.snapshot import read_contents, reading, server_version
from servicekit.database import connect_arguments
from servicekit.settings import sqlalchemy_url

_PREFIX = "pitwall_copy_"
_CONNECT_TIMEOUT_SECONDS = 30
_STATEMENT_TIMEOUT_MS = 600_000


def copy_name(name: str) -> str:
    """What a copy with this name is called on the throw-away server."""
    return _PREFIX + name


@contextmanager
def restored(
    manifest: Manifest, folder: Path, server_url: str, *, jobs: int, name: str | None = None
) -> Iterator[str]:
    """The address of a database on the server at `server_url` into which the dump in `folder` was restored,
    and that has the contents which the manifest names. Dropped at the end.

    The database is a new one: nothing else on that server is touched. With `name`, others know what it is
    called: `copy_name` says how.

    Raises BackupError when the dump is damaged, cannot be restored, or has other contents.
    """
    check_files(folder, manifest.files)
    with empty(manifest.kind, server_url, name) as url:
        programs.run(
            "pg_restore",
            url,
            "--exit-on-error",
            # The throw-away server does not have the roles.
            "--no-owner",
            "--no-privileges",
            f"--jobs={jobs}",
            str(folder),
        )
        with reading(url) as connection:
            differences = content_differences(manifest.contents, read_contents(connection))
        if differences:
            raise BackupError(f"the restored copy differs from the backup: {'; '.join(differences[:20])}")
        yield url


@contextmanager
def empty(kind: Kind, server_url: str, name: str | None = None) -> Iterator[str]:
    """The address of a new database of this kind on the server at `server_url`, dropped at the end. `name` is
    that of `restored`.

    Raises BackupError when the server does not answer, or cannot have one.
    """
    name = copy_name(name or secrets.token_hex(6))
    try:
        connecting = _engine(server_url).connect()
    except DBAPIError as error:
        cause = str(error.orig).splitlines()[0]
        raise BackupError(f"the throw-away server for the copy does not answer: {cause}") from error
    with connecting as connection:
        server = server_version(connection)
        if programs.major(server) != programs.major(kind.server):
            raise BackupError(
                f"the original is of PostgreSQL {kind.server}, and the throw-away server is {server}: they"
                " need to have the same major version"
            )
        programs.require_version("pg_restore", server)
        _drop_abandoned(connection)
        # Tells another process that the database is in use.
        connection.execute(_LOCK, {"name": name})
        _create(connection, name, kind)
        try:
            yield make_url(server_url).set(database=name).render_as_string(hide_password=False)
        finally:
            _drop(connection, name)


def analyze(url: str) -> None:
    """Makes statistics for a copy: a restored database has none, and is slow without."""
    with _engine(url).connect() as connection:
        connection.exec_driver_sql("ANALYZE")


def _engine(url: str) -> Engine:
    return create_engine(
        sqlalchemy_url(url),
        poolclass=NullPool,
        isolation_level="AUTOCOMMIT",
        connect_args=connect_arguments(_CONNECT_TIMEOUT_SECONDS, _STATEMENT_TIMEOUT_MS),
    )


_LOCK = text("SELECT pg_try_advisory_lock(hashtextextended(:name, 0))")


def _create(connection: Connection, name: str, kind: Kind) -> None:
    statement = sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING {} LC_COLLATE {} LC_CTYPE {}").format(
        sql.Identifier(name), kind.encoding, kind.collation, kind.character_type
    )
    try:
        connection.exec_driver_sql(statement.as_string().replace("%", "%%"))
    except DBAPIError as error:
        cause = str(error.orig).splitlines()[0]
        raise BackupError(
            f"the throw-away server cannot have a database like the original: {cause}"
        ) from error


def _drop_abandoned(connection: Connection) -> None:
    """Drops the copies of processes that were killed."""
    found = connection.scalars(
        text("SELECT datname FROM pg_database WHERE starts_with(datname, :prefix)"), {"prefix": _PREFIX}
    )
    for name in found.all():
        if connection.scalar(_LOCK, {"name": name}):
            _drop(connection, name)


def _drop(connection: Connection, name: str) -> None:
    statement = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
    connection.exec_driver_sql(statement.as_string())
