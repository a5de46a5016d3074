"""Changing all rows of a large table without holding up the services that use it."""

import hashlib
import time
from typing import Any

from alembic import op
from psycopg import sql
from sqlalchemy import Connection, CursorResult, text


def in_batches(
    table: str, key: str, statement: str, *, size: int = 1_000, pause_seconds: float = 0.05
) -> None:
    """Runs an UPDATE or DELETE over a table, a batch of `size` rows at a time, for use in `upgrade`.

    `statement` has `{batch}` where it selects rows: `UPDATE recipes SET a = b WHERE {batch}`. `key` is a
    column by which rows are walked: unique, NOT NULL and with an index, as a primary key.

    Each batch commits, and the pause behind it is at least as long as the batch took, so that half of the
    time is left to others. Rows with a key above the highest at the start are left out: code that runs
    meanwhile writes them as they should be. A migration that is stopped goes on behind its last batch. It
    must do nothing else.
    """
    before, marker, after = statement.partition("{batch}")
    if not marker:
        raise ValueError(f"a statement for in_batches selects its rows with {{batch}}: {statement}")
    context = op.get_context()
    if context.as_sql:
        op.execute(sql.Composed([sql.SQL(before), sql.SQL("true"), sql.SQL(after)]).as_string())
        return
    name = hashlib.sha256(f"{table} {key} {statement}".encode()).hexdigest()
    with context.autocommit_block():
        _Backfill(op.get_bind(), name, table, key, (before, after)).run(size, pause_seconds)
    # Together with the record of the migration: a later downgrade and upgrade begins from the start.
    op.get_bind().execute(text("DELETE FROM pitwall.backfills WHERE name = :name"), {"name": name})


class _Backfill:
    def __init__(
        self, connection: Connection, name: str, table: str, key: str, statement: tuple[str, str]
    ) -> None:
        self._connection = connection
        self._name = name
        self._statement = statement
        self._table = sql.Identifier(*table.split("."))
        self._key = sql.Identifier(key)
        found = connection.scalar(
            text("""
                SELECT format_type(atttypid, atttypmod) FROM pg_attribute
                WHERE attrelid = to_regclass(:table) AND attname = :key AND NOT attisdropped
                """),
            {"table": self._table.as_string(), "key": key},
        )
        if found is None:
            raise ValueError(f"table {table} has no column {key}")
        # PostgreSQL's own name of the type.
        self._type = sql.SQL(found)

    def run(self, size: int, pause_seconds: float) -> None:
        done, until = self._checkpoint()
        while (high := self._end_of_batch(done, until, size)) is not None:
            began = time.monotonic()
            self._change(done, high)
            done = high
            time.sleep(max(pause_seconds, time.monotonic() - began))

    def _checkpoint(self) -> tuple[str | None, str | None]:
        """The last key that is done, and the last key to do."""
        self._connection.exec_driver_sql("CREATE SCHEMA IF NOT EXISTS pitwall")
        self._connection.exec_driver_sql(
            "CREATE TABLE IF NOT EXISTS pitwall.backfills (name text PRIMARY KEY, done text, until text)"
        )
        self._run(
            sql.SQL("""
                INSERT INTO pitwall.backfills SELECT %(name)s, NULL, max({key})::text FROM {table}
                ON CONFLICT DO NOTHING
                """).format(key=self._key, table=self._table),
            {"name": self._name},
        )
        found = self._connection.execute(
            text("SELECT done, until FROM pitwall.backfills WHERE name = :name"), {"name": self._name}
        ).one()
        return found[0], found[1]

    def _end_of_batch(self, done: str | None, until: str | None, size: int) -> str | None:
        if until is None:
            return None
        query = sql.SQL("""
            SELECT max(key)::text FROM (
                SELECT {key} AS key FROM {table} WHERE {range} ORDER BY {key} LIMIT %(size)s) AS batch
            """)
        found = self._run(
            query.format(key=self._key, table=self._table, range=self._range(done)),
            {"low": done, "high": until, "size": size},
        )
        key = found.scalar()
        return None if key is None else str(key)

    def _change(self, done: str | None, high: str) -> None:
        before, after = (sql.SQL(part.replace("%", "%%")) for part in self._statement)
        self._connection.exec_driver_sql("BEGIN")
        try:
            self._run(
                sql.Composed([before, sql.SQL("({})").format(self._range(done)), after]),
                {"low": done, "high": high},
            )
            self._connection.execute(
                text("UPDATE pitwall.backfills SET done = :done WHERE name = :name"),
                {"done": high, "name": self._name},
            )
            self._connection.exec_driver_sql("COMMIT")
        except BaseException:
            self._connection.exec_driver_sql("ROLLBACK")
            raise

    def _range(self, done: str | None) -> sql.Composable:
        upper = sql.SQL("{key} <= CAST(%(high)s AS {type})").format(key=self._key, type=self._type)
        if done is None:
            return upper
        lower = sql.SQL("{key} > CAST(%(low)s AS {type})").format(key=self._key, type=self._type)
        return sql.SQL(" AND ").join([lower, upper])

    def _run(self, query: sql.Composable, values: dict[str, Any]) -> CursorResult[Any]:
        return self._connection.exec_driver_sql(query.as_string(), values)
