"""What is in a PostgreSQL database: its objects, and a fingerprint of its rows.

Alembic's own comparison does not see sequences, triggers, functions, EXCLUDE constraints or a changed
expression in a CHECK of the same name. This reads PostgreSQL's catalogue instead.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from psycopg import sql
from sqlalchemy import Connection, text

# Alembic's own table changes with every revision. The schema has the checkpoints of backfills.
BOOKKEEPING_TABLE = "alembic_version"
BOOKKEEPING_SCHEMA = "pitwall"


@dataclass(frozen=True)
class DatabaseObject:
    """One object of the catalogue. Its `id` stays the same when the object is renamed or altered."""

    id: str
    kind: str
    name: str
    # The object that this one disappears with: the table of a column, the column of its sequence.
    parent: str | None = None
    # Ids of the columns that a constraint or an index covers.
    columns: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class TableRows:
    """The rows of a table, independent of their order and of the order of the columns."""

    rows: int
    # A sum of hashes for all columns together, and for each column.
    checksum: str
    columns: dict[str, str]


# Objects of extensions belong to the extension, which a migration may leave behind: creating it needs rights
# that a downgrade may not have.
_PARTS = """
WITH schemas AS (
    SELECT oid, nspname FROM pg_namespace
    WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', :bookkeeping_schema)
), extended AS (
    SELECT classid, objid FROM pg_depend WHERE deptype = 'e'
), relations AS (
    SELECT c.* FROM pg_class c JOIN schemas s ON s.oid = c.relnamespace
    WHERE c.relname <> :bookkeeping_table
      AND NOT EXISTS (SELECT FROM extended e WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid)
)
SELECT 'schema:' || oid AS id, 'schema' AS kind, nspname::text AS name,
       NULL::text AS parent, '{}'::text[] AS columns, '{}'::jsonb AS facts
FROM schemas
WHERE NOT EXISTS (SELECT FROM extended e WHERE e.classid = 'pg_namespace'::regclass AND e.objid = schemas.oid)

UNION ALL
SELECT 'relation:' || c.oid,
       CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'f' THEN 'foreign table'
                      WHEN 'S' THEN 'sequence' ELSE 'table' END,
       c.oid::regclass::text,
       CASE WHEN d.refobjid IS NULL THEN 'schema:' || c.relnamespace
            ELSE 'column:' || d.refobjid || '.' || d.refobjsubid END,
       '{}',
       CASE WHEN c.relkind IN ('v', 'm') THEN jsonb_build_object('definition', pg_get_viewdef(c.oid))
            WHEN c.relkind = 'S' THEN (
                SELECT jsonb_build_object('type', format_type(q.seqtypid, NULL), 'start', q.seqstart,
                    'increment', q.seqincrement, 'max', q.seqmax, 'min', q.seqmin, 'cycle', q.seqcycle)
                FROM pg_sequence q WHERE q.seqrelid = c.oid)
            ELSE jsonb_build_object('persistence', c.relpersistence, 'row security', c.relrowsecurity,
                'partition', pg_get_expr(c.relpartbound, c.oid), 'partitioned', pg_get_partkeydef(c.oid)) END
FROM relations c
LEFT JOIN pg_depend d ON c.relkind = 'S' AND d.classid = 'pg_class'::regclass AND d.objid = c.oid
    AND d.deptype IN ('a', 'i') AND d.refobjsubid > 0
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')

UNION ALL
SELECT 'column:' || a.attrelid || '.' || a.attnum, 'column',
       a.attrelid::regclass::text || '.' || quote_ident(a.attname), 'relation:' || a.attrelid, '{}',
       jsonb_build_object('type', format_type(a.atttypid, a.atttypmod), 'not null', a.attnotnull,
           'default', CASE WHEN a.attgenerated = '' THEN pg_get_expr(e.adbin, e.adrelid) END,
           'identity', a.attidentity, 'collation', NULLIF(a.attcollation, t.typcollation)::regcollation::text,
           'generated', CASE WHEN a.attgenerated <> '' THEN pg_get_expr(e.adbin, e.adrelid) END)
FROM relations c
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_attrdef e ON e.adrelid = a.attrelid AND e.adnum = a.attnum
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')

UNION ALL
SELECT 'constraint:' || k.oid, 'constraint',
       k.conrelid::regclass::text || '.' || quote_ident(k.conname), 'relation:' || k.conrelid,
       ARRAY(SELECT 'column:' || k.conrelid || '.' || number FROM unnest(k.conkey) AS number),
       jsonb_build_object('definition', pg_get_constraintdef(k.oid))
FROM pg_constraint k JOIN relations c ON c.oid = k.conrelid
WHERE k.contype IN ('c', 'f', 'p', 'u', 'x')

UNION ALL
SELECT 'index:' || i.indexrelid, 'index', i.indexrelid::regclass::text, 'relation:' || i.indrelid,
       ARRAY(SELECT 'column:' || i.indrelid || '.' || number FROM unnest(i.indkey) AS number),
       jsonb_build_object('definition', pg_get_indexdef(i.indexrelid), 'unique', i.indisunique,
           'valid', i.indisvalid)
FROM pg_index i JOIN relations c ON c.oid = i.indrelid
WHERE NOT EXISTS (
    SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x'))

UNION ALL
SELECT 'type:' || t.oid, CASE t.typtype WHEN 'd' THEN 'domain' ELSE 'type' END, t.oid::regtype::text,
       'schema:' || t.typnamespace, '{}',
       jsonb_build_object(
           'labels', ARRAY(SELECT l.enumlabel FROM pg_enum l WHERE l.enumtypid = t.oid
                           ORDER BY l.enumsortorder),
           'base', CASE WHEN t.typtype = 'd' THEN format_type(t.typbasetype, t.typtypmod) END,
           'not null', t.typnotnull, 'default', t.typdefault,
           'constraints', ARRAY(SELECT pg_get_constraintdef(k.oid) FROM pg_constraint k
                                WHERE k.contypid = t.oid ORDER BY 1))
FROM pg_type t JOIN schemas s ON s.oid = t.typnamespace
LEFT JOIN pg_class c ON c.oid = t.typrelid
WHERE (t.typtype IN ('e', 'd') OR (t.typtype = 'c' AND c.relkind = 'c'))
  AND NOT EXISTS (SELECT FROM extended e WHERE e.classid = 'pg_type'::regclass AND e.objid = t.oid)

UNION ALL
SELECT 'function:' || p.oid, 'function', p.oid::regprocedure::text, 'schema:' || p.pronamespace, '{}',
       jsonb_build_object('definition', CASE WHEN p.prokind = 'a' THEN p.oid::regprocedure::text
                                             ELSE pg_get_functiondef(p.oid) END)
FROM pg_proc p JOIN schemas s ON s.oid = p.pronamespace
WHERE NOT EXISTS (SELECT FROM extended e WHERE e.classid = 'pg_proc'::regclass AND e.objid = p.oid)

UNION ALL
SELECT 'trigger:' || t.oid, 'trigger', t.tgrelid::regclass::text || '.' || quote_ident(t.tgname),
       'relation:' || t.tgrelid, '{}',
       jsonb_build_object('definition', pg_get_triggerdef(t.oid), 'enabled', t.tgenabled)
FROM pg_trigger t JOIN relations c ON c.oid = t.tgrelid
WHERE NOT t.tgisinternal

UNION ALL
SELECT 'policy:' || p.oid, 'policy', p.polrelid::regclass::text || '.' || quote_ident(p.polname),
       'relation:' || p.polrelid, '{}',
       jsonb_build_object('command', p.polcmd, 'permissive', p.polpermissive,
           'using', pg_get_expr(p.polqual, p.polrelid), 'check', pg_get_expr(p.polwithcheck, p.polrelid))
FROM pg_policy p JOIN relations c ON c.oid = p.polrelid

UNION ALL
SELECT 'search:' || g.oid, 'text search configuration', g.oid::regconfig::text,
       'schema:' || g.cfgnamespace, '{}',
       jsonb_build_object('mappings', ARRAY(
           SELECT format('%s %s %s', m.maptokentype, m.mapseqno, m.mapdict::regdictionary)
           FROM pg_ts_config_map m WHERE m.mapcfg = g.oid ORDER BY m.maptokentype, m.mapseqno))
FROM pg_ts_config g JOIN schemas s ON s.oid = g.cfgnamespace
WHERE NOT EXISTS (SELECT FROM extended e WHERE e.classid = 'pg_ts_config'::regclass AND e.objid = g.oid)

UNION ALL
SELECT 'statistics:' || x.oid, 'statistics', quote_ident(x.stxname), 'relation:' || x.stxrelid, '{}',
       jsonb_build_object('definition', pg_get_statisticsobjdef(x.oid))
FROM pg_statistic_ext x JOIN relations c ON c.oid = x.stxrelid
ORDER BY kind, name, id
"""


def read_catalogue(connection: Connection) -> list[DatabaseObject]:
    """All objects outside of system schemas and extensions."""
    rows = connection.execute(
        text(_PARTS), {"bookkeeping_schema": BOOKKEEPING_SCHEMA, "bookkeeping_table": BOOKKEEPING_TABLE}
    )
    return [DatabaseObject(*row) for row in rows]


def structure_differences(before: Sequence[DatabaseObject], after: Sequence[DatabaseObject]) -> list[str]:
    """How two catalogues differ, a line for each object. Ids and the order of columns are ignored."""
    one, other = ({(each.kind, each.name): each.facts for each in objects} for objects in (before, after))
    lines = [f"{kind} {name} is missing" for kind, name in one if (kind, name) not in other]
    lines += [f"{kind} {name} is left over" for kind, name in other if (kind, name) not in one]
    for (kind, name), facts in one.items():
        for fact, value in facts.items():
            found = other.get((kind, name), facts).get(fact)
            if found != value:
                lines.append(f"{kind} {name}: {fact} was {value!r} and is {found!r}")
    return lines


def read_rows(connection: Connection, *, by_column: bool = True) -> dict[str, TableRows]:
    """A fingerprint of the rows of every table. Without `by_column` it says less of what differs, and takes a
    fraction of the time."""
    tables: dict[str, tuple[sql.Identifier, list[str]]] = {}
    columns = connection.execute(
        text("""
            SELECT c.oid::regclass::text, s.nspname, c.relname, a.attname
            FROM pg_class c JOIN pg_namespace s ON s.oid = c.relnamespace
            LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
            WHERE c.relkind = 'r' AND c.relname <> :bookkeeping_table
              AND s.nspname !~ '^pg_' AND s.nspname NOT IN ('information_schema', :bookkeeping_schema)
            ORDER BY 1, 4
            """),
        {"bookkeeping_schema": BOOKKEEPING_SCHEMA, "bookkeeping_table": BOOKKEEPING_TABLE},
    )
    for table, schema, name, column in columns:
        _, names = tables.setdefault(table, (sql.Identifier(schema, name), []))
        if column is not None:
            names.append(column)
    return {table: _fingerprint(connection, *found, by_column) for table, found in tables.items()}


def _fingerprint(
    connection: Connection, table: sql.Identifier, columns: list[str], by_column: bool
) -> TableRows:
    def checksum(names: list[str]) -> sql.Composable:
        row = sql.SQL("coalesce(sum(hashtextextended(ROW({})::text, 0)::numeric), 0)::text")
        return row.format(sql.SQL(", ").join(map(sql.Identifier, names)))

    single = columns if by_column else []
    sums = sql.SQL(", ").join([checksum(columns), *(checksum([name]) for name in single)])
    query = sql.SQL("SELECT count(*), {} FROM ONLY {}").format(sums, table)
    found = connection.exec_driver_sql(query.as_string().replace("%", "%%")).one()
    return TableRows(found[0], found[1], dict(zip(single, found[2:], strict=True)))


def read_sequences(connection: Connection) -> dict[str, int]:
    """The last value of every sequence that has been used and only counts up."""
    found = connection.execute(
        text("""
            SELECT format('%I.%I', schemaname, sequencename)::regclass::text, last_value FROM pg_sequences
            WHERE last_value IS NOT NULL AND increment_by > 0 AND NOT cycle
              AND schemaname <> :bookkeeping_schema
            ORDER BY 1
            """),
        {"bookkeeping_schema": BOOKKEEPING_SCHEMA},
    )
    return {name: value for name, value in found}


def row_differences(before: dict[str, TableRows], after: dict[str, TableRows]) -> list[str]:
    """What was lost or changed, a line for each table or column."""
    lines = []
    for table, rows in before.items():
        found = after.get(table)
        if found is None:
            lines += [f"table {table} with {_count(rows.rows)}"] if rows.rows else []
        elif found.rows != rows.rows:
            lines.append(f"table {table}: {_count(rows.rows)} became {found.rows}")
        elif rows.rows:
            changed = [name for name, value in rows.columns.items() if found.columns.get(name) != value]
            lines += [f"values of {table}.{name}" for name in changed]
            # With other columns, the checksum of whole rows differs in any case.
            if not changed and found.columns.keys() == rows.columns.keys() and found != rows:
                lines.append(f"which values of {table} belong together")
    return lines


def _count(rows: int) -> str:
    return "1 row" if rows == 1 else f"{rows} rows"
