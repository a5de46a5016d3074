"""A dump of a database, and what was in the database at the same moment."""

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, create_engine, make_url, text
from sqlalchemy.pool import NullPool

from servicekit.backups import programs
from servicekit.backups.errors import BackupError
from servicekit.backups.manifest import Contents, Kind, Manifest, Origin, describe_files, new_id
from servicekit.database import connect_arguments
from servicekit.migrations.catalogue import read_catalogue, read_rows, read_sequences
from servicekit.migrations.lock import refuse_pooler
from servicekit.settings import sqlalchemy_url

_CONNECT_TIMEOUT_SECONDS = 10
# A table that something else holds: the dump gives up, so that nothing queues behind it.
_LOCK_TIMEOUT_MS = 30_000
_DAY_MS = 86_400_000
# Everything that changes how values are written, and by that the checksums.
_FORMATS = (
    " -c search_path=public -c timezone=UTC -c datestyle=ISO -c intervalstyle=postgres"
    " -c extra_float_digits=1 -c bytea_output=hex -c lc_monetary=C -c idle_in_transaction_session_timeout=0"
)


@contextmanager
def reading(url: str) -> Iterator[Connection]:
    """A connection whose block is one read-only transaction with one snapshot, and writes values the same
    way on each server."""
    arguments = connect_arguments(_CONNECT_TIMEOUT_SECONDS, _DAY_MS, _LOCK_TIMEOUT_MS)
    arguments["options"] += _FORMATS
    engine = create_engine(
        sqlalchemy_url(url), poolclass=NullPool, connect_args=arguments, hide_parameters=True
    )
    options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    with engine.connect().execution_options(**options) as connection:
        yield connection


def server_version(connection: Connection) -> str:
    """The server's version, such as 15.8."""
    return str(connection.scalar(text("SHOW server_version"))).split()[0]


def read_kind(connection: Connection) -> Kind:
    found = connection.execute(text("""
            SELECT pg_encoding_to_char(encoding), datcollate, datctype FROM pg_database
            WHERE datname = current_database()
            """)).one()
    return Kind(server_version(connection), *found)


def system_identifier(connection: Connection) -> str:
    """What tells this server from all others."""
    return str(connection.scalar(text("SELECT system_identifier FROM pg_control_system()")))


def read_contents(connection: Connection) -> Contents:
    """What is in the database, in the connection's snapshot."""
    sequences = read_sequences(connection)
    rows = read_rows(connection, by_column=False)
    return Contents(
        heads=sorted(MigrationContext.configure(connection).get_current_heads()),
        rows={table: found.rows for table, found in rows.items()},
        checksums={table: found.checksum for table, found in rows.items()},
        sequences=sequences,
        objects=[f"{each.kind} {each.name}" for each in read_catalogue(connection)],
    )


def origin_of(url: str, service: str, environment: str) -> Origin:
    """Which database this is: of a service in an environment."""
    return Origin(service, make_url(url).database or "", environment)


def dump(url: str, folder: Path, origin: Origin, *, jobs: int, operation: str | None = None) -> Manifest:
    """Dumps the database into the new folder `folder`, by `jobs` connections at once.

    Raises BackupError when it fails.
    """
    with reading(url) as connection:
        refuse_pooler(connection)
        kind = read_kind(connection)
        programs.require_version("pg_dump", kind.server)
        snapshot = connection.scalar(text("SELECT pg_export_snapshot()"))
        backup, taken = new_id()
        contents = read_contents(connection)
        programs.run(
            "pg_dump",
            url,
            f"--snapshot={snapshot}",
            "--format=directory",
            f"--jobs={jobs}",
            f"--file={folder}",
            f"--lock-wait-timeout={_LOCK_TIMEOUT_MS}",
        )
        system = system_identifier(connection)
    files = describe_files(folder)
    empty = [name for name, file in files.items() if file.bytes == 0]
    if "toc.dat" not in files or empty:
        raise BackupError(f"pg_dump ended well, but wrote an empty {', '.join(empty) or 'folder'}")
    return Manifest(
        id=backup,
        taken=taken,
        operation=operation,
        origin=origin,
        system=system,
        **dataclasses.asdict(kind),
        contents=contents,
        files=files,
    )
