"""A restored database in the place of the present one, which is kept beside it."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from psycopg import sql
from sqlalchemy import Connection, create_engine, make_url, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from servicekit.backups import programs
from servicekit.backups.errors import BackupError
from servicekit.backups.manifest import Manifest, check_files, content_differences
from servicekit.backups.snapshot import read_contents, reading, server_version
from servicekit.database import connect_arguments
from servicekit.settings import sqlalchemy_url

log = logging.getLogger(__name__)

_CONNECT_TIMEOUT_SECONDS = 10
_STATEMENT_TIMEOUT_MS = 60_000
# PostgreSQL cuts longer names off.
_LONGEST_NAME = 63
_FINISHED = "restored and compared"


class Replacement:
    """Puts a backup into the place of a database, in steps that can be repeated after a stop.

    The names of the two databases beside it end with `operation`, so that a repeated operation finds them.
    """

    def __init__(self, url: str, operation: str) -> None:
        self._address = make_url(url)
        self.name = str(self._address.database)
        self.restored, self.replaced = (
            f"{self.name[: _LONGEST_NAME - len(end)]}{end}"
            for end in (f"_restored_{operation}", f"_replaced_{operation}")
        )

    @property
    def url(self) -> str:
        """The address of the restored database until it is in its place."""
        return self._url_of(self.restored)

    def check(self) -> None:
        """Raises BackupError when the role may not do what is needed."""
        with self._beside() as connection:
            may_create = connection.scalar(
                text("SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user")
            )
            owns = connection.scalar(
                text("""
                    SELECT pg_has_role(current_user, datdba, 'USAGE') FROM pg_database WHERE datname = :name
                    """),
                {"name": self.name},
            )
            role = connection.scalar(text("SELECT current_user"))
            others = connection.scalars(
                text("""
                    SELECT DISTINCT usename FROM pg_stat_activity
                    -- The kind of other roles' sessions is not shown.
                    WHERE datname = :name AND usesysid IS NOT NULL
                        AND coalesce(backend_type, 'client backend') = 'client backend'
                        AND NOT pg_has_role(current_user, usesysid, 'USAGE')
                        AND NOT pg_has_role(current_user, 'pg_signal_backend', 'USAGE')
                    """),
                {"name": self.name},
            ).all()
        lacks = [*([] if may_create else ["CREATEDB"]), *([] if owns else [f"the ownership of {self.name}"])]
        if lacks:
            raise BackupError(
                f"the role {role} lacks {' and '.join(lacks)}, which a restore needs: an administrator grants"
                f" it with ALTER ROLE … CREATEDB and ALTER DATABASE … OWNER TO"
            )

        if others:
            raise BackupError(
                f"{', '.join(sorted(others))} use the database, and the role {role} may not end their"
                f" sessions: end them, or have an administrator GRANT pg_signal_backend TO {role}"
            )

    def recover(self) -> None:
        """Lets connections in again that a switch which was killed has kept out."""
        with self._beside() as connection:
            for name in (self.name, self.replaced):
                if self._exists(connection, name):
                    self._execute(connection, "ALTER DATABASE {} WITH ALLOW_CONNECTIONS true", name)

    def is_switched(self) -> bool:
        with self._beside() as connection:
            return self._exists(connection, self.replaced) and self._exists(connection, self.name)

    def hold(self) -> None:
        """Makes the database read-only, and ends the sessions that could write."""
        with self._beside() as connection:
            self._execute(connection, "ALTER DATABASE {} SET default_transaction_read_only = on", self.name)
            self._end_sessions(connection, self.name)

    def release(self) -> None:
        """Takes the hold back, where nothing was switched."""
        with self._beside() as connection:
            if self._exists(connection, self.replaced):
                return
            self._execute(connection, "ALTER DATABASE {} WITH ALLOW_CONNECTIONS true", self.name)
            self._execute(connection, "ALTER DATABASE {} RESET default_transaction_read_only", self.name)
            try:
                self._end_sessions(connection, self.name)
            except DBAPIError as error:
                log.warning("sessions that cannot be ended are read-only until they end: %s", error.orig)

    def restore(self, manifest: Manifest, folder: Path, *, jobs: int) -> None:
        """Restores the dump in `folder` beside the database, and compares it with what the manifest names."""
        check_files(folder, manifest.files)
        with self._beside() as connection:
            if self._is_finished(connection):
                return
            server = server_version(connection)
            if programs.major(server) != programs.major(manifest.server):
                raise BackupError(
                    f"the backup is of PostgreSQL {manifest.server}, and the server is {server}"
                )
            programs.require_version("pg_restore", server)
            self._drop_restored(connection)
            statement = "CREATE DATABASE {} TEMPLATE template0 ENCODING {} LC_COLLATE {} LC_CTYPE {}"
            kind = [manifest.encoding, manifest.collation, manifest.character_type]
            self._execute(connection, statement, self.restored, literals=kind)
        programs.run("pg_restore", self.url, "--exit-on-error", f"--jobs={jobs}", str(folder))
        with reading(self.url) as connection:
            differences = content_differences(manifest.contents, read_contents(connection))
        if differences:
            raise BackupError(f"the restored database differs from the backup: {'; '.join(differences[:20])}")

    def finish(self) -> None:
        """Notes that the restored database is ready for its place."""
        with self._beside() as connection:
            self._execute(connection, "COMMENT ON DATABASE {} IS {}", self.restored, literals=[_FINISHED])

    def drop(self) -> None:
        """Removes a restored database that is not going to be used."""
        with self._beside() as connection:
            self._drop_restored(connection)

    def switch(self) -> None:
        """Renames both databases in one transaction. Nobody can connect for the moment that it takes."""
        with self._beside() as connection:
            if not self._is_finished(connection):
                raise BackupError(f"{self.restored} is not complete")
            self._execute(connection, "ALTER DATABASE {} WITH ALLOW_CONNECTIONS false", self.name)
            for name in (self.name, self.restored):
                self._end_sessions(connection, name)
            connection.exec_driver_sql("BEGIN")
            try:
                self._execute(connection, "ALTER DATABASE {} RENAME TO {}", self.name, self.replaced)
                self._execute(connection, "ALTER DATABASE {} RENAME TO {}", self.restored, self.name)
            except BaseException:
                connection.exec_driver_sql("ROLLBACK")
                raise
            connection.exec_driver_sql("COMMIT")
            # What it had is still to be looked at.
            self._execute(connection, "ALTER DATABASE {} WITH ALLOW_CONNECTIONS true", self.replaced)

    @contextmanager
    def _beside(self) -> Iterator[Connection]:
        """A connection to another database of the server, in autocommit."""
        engine = create_engine(
            sqlalchemy_url(self._url_of("postgres")),
            poolclass=NullPool,
            isolation_level="AUTOCOMMIT",
            connect_args=connect_arguments(_CONNECT_TIMEOUT_SECONDS, _STATEMENT_TIMEOUT_MS),
        )
        try:
            with engine.connect() as connection:
                yield connection
        except DBAPIError as error:
            raise BackupError(str(error.orig).splitlines()[0]) from error

    def _url_of(self, database: str) -> str:
        return self._address.set(database=database).render_as_string(hide_password=False)

    def _is_finished(self, connection: Connection) -> bool:
        comment = connection.scalar(
            text("SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = :name"),
            {"name": self.restored},
        )
        return bool(comment == _FINISHED)

    def _exists(self, connection: Connection, name: str) -> bool:
        found = connection.scalar(text("SELECT 1 FROM pg_database WHERE datname = :name"), {"name": name})
        return found is not None

    def _drop_restored(self, connection: Connection) -> None:
        self._execute(connection, "DROP DATABASE IF EXISTS {} WITH (FORCE)", self.restored)

    def _end_sessions(self, connection: Connection, name: str) -> None:
        # They end when they next look for a signal.
        connection.execute(
            text("""
                SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
                WHERE datname = :name AND pid <> pg_backend_pid() AND backend_type = 'client backend'
                """),
            {"name": name},
        )

    def _execute(
        self, connection: Connection, statement: str, *names: str, literals: list[str] | None = None
    ) -> None:
        parts = [*map(sql.Identifier, names), *map(sql.Literal, literals or [])]
        text_of = sql.SQL(statement).format(*parts).as_string()
        connection.exec_driver_sql(text_of.replace("%", "%%"))
