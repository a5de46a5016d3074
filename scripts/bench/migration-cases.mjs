// What migrations.mjs measures: two databases with millions of rows, requests to their services, and changes in a form that gives way and in a naive one.

/**
 * @typedef {object} Migration
 * @property {string} body of `upgrade`, in Python
 * @property {boolean} [behind] runs when the new code serves, and the old code is gone
 *
 * @typedef {object} Case
 * @property {Migration[]} ours as docs/migrations.md says
 * @property {string} naive the body of one migration
 * @property {boolean} [renames] code that knows the new name takes over
 *
 * @typedef {object} Database
 * @property {string} folder of the service
 * @property {string} package
 * @property {string} table the one with the rows
 * @property {string} key a column that `in_batches` walks along
 * @property {number} batch rows of a batch: the helper's default, or more where an UPDATE touches few indexes
 * @property {{ from: string, to: string, type: string }} renamed a column that few rows have
 * @property {[string, string, string]} renaming file, text and new text that make the service's code know it by its new name
 * @property {(rows: number) => string} data SQL that fills an empty database
 * @property {(rows: number, token: string) => (number: number) => import("./load.mjs").Ask} requests
 */

/** Groups that share a word and a tag: each search finds about twenty rows. @param {number} rows */
const groups = (rows) => Math.max(1, Math.floor(rows / 20))
const digits = 7
/** @param {number} below */
const random = (below) => Math.floor(Math.random() * below)

/** Columns of no service, for the migrations: no row of the first is NULL, all rows of the second are. @param {string} table */
const columns = (table) => `
CREATE TABLE origins (id integer PRIMARY KEY, name text NOT NULL);
INSERT INTO origins SELECT n, 'Origin ' || n FROM generate_series(1, 100) n;
ALTER TABLE ${table} ADD origin_id integer DEFAULT 1, ADD kind text;
SET maintenance_work_mem = '512MB';`

/** @type {Record<string, Database>} */
export const databases = {
  recipes: {
    folder: "api",
    package: "recipes",
    table: "recipes",
    key: "id",
    batch: 1_000,
    renamed: { from: "photo_url", to: "image_url", type: "text" },
    renaming: [
      "models.py",
      "photo_url: Mapped[str | None]",
      'photo_url: Mapped[str | None] = mapped_column("image_url")',
    ],
    data: (rows) => `
${columns("recipes")}
DROP INDEX recipes_search_idx, recipes_tags_idx, recipes_created_at_idx;
INSERT INTO recipes (slug, title, summary, photo_url, tags, minutes, servings, ingredients, steps, author, created_at, origin_id)
SELECT 'dish-' || n, 'Dish w' || lpad((n % ${groups(rows)})::text, ${digits}, '0'), 'Generated.',
  CASE WHEN n % 10 = 0 THEN '/photos/' || n || '.jpg' END,
  jsonb_build_array('t' || n % ${groups(rows)}), 5 + n % 90, 1 + n % 8, '[{"name": "spaghetti", "quantity": "400 g"}]',
  '["Boil."]', 'nonna', timestamptz '2025-01-01' + n * interval '1 second', 1 + n % 100
FROM generate_series(1, ${rows}) n;
CREATE INDEX recipes_search_idx ON recipes USING gin (search);
CREATE INDEX recipes_tags_idx ON recipes USING gin (tags jsonb_path_ops);
CREATE INDEX recipes_created_at_idx ON recipes (created_at, id);`,
    // Lists of everything count all rows, which takes longer than a request may with millions of them.
    requests: (rows, token) => {
      const dish = () => `/api/recipes/dish-${1 + random(rows)}`
      return (number) => {
        const kind = number % 20
        if (kind < 14) return { method: "GET", path: dish() }
        const group = random(groups(rows))
        if (kind < 17)
          return { method: "GET", path: `/api/recipes?q=w${String(group).padStart(digits, "0")}` }
        if (kind < 18) return { method: "GET", path: `/api/recipes?tag=t${group}` }
        const headers = { authorization: `Bearer ${token}`, "if-match": "*" }
        const body = {
          title: `Dish w${String(group).padStart(digits, "0")}`,
          summary: "Edited.",
          photo_url: null,
          tags: [`t${group}`],
          minutes: 20,
          servings: 4,
          ingredients: [{ name: "spaghetti", quantity: "400 g" }],
          steps: ["Boil."],
        }
        return { method: "PUT", path: dish(), body, headers }
      }
    },
  },
  f1: {
    folder: "f1-backend",
    package: "f1",
    table: "results",
    key: "race_id",
    batch: 10_000,
    renamed: { from: "reason", to: "cause", type: "varchar(120)" },
    renaming: [
      "tables.py",
      "reason: Mapped[str | None] = mapped_column(String(120))",
      'reason: Mapped[str | None] = mapped_column("cause", String(120))',
    ],
    // Twenty drivers in each race, forty races in each season; the API shows those up to 2100.
    data: (rows) => `
${columns("results")}
SET session_replication_role = replica;
INSERT INTO circuits SELECT 'circuit-' || n, 'Circuit ' || n, 'RACE', 50, 10 FROM generate_series(1, 40) n;
INSERT INTO constructors SELECT 'team-' || n, 'Team ' || n FROM generate_series(1, 10) n;
INSERT INTO drivers SELECT 'driver-' || n, 'Driver ' || n, 'D' || n FROM generate_series(1, 20) n;
INSERT INTO seasons (year) SELECT 1950 + n FROM generate_series(0, (${rows} / 20 - 1) / 40) n;
INSERT INTO races (id, season, round, name, circuit, date, laps)
SELECT n, 1950 + (n - 1) / 40, 1 + (n - 1) % 40, 'Race ' || n, 'circuit-' || 1 + (n - 1) % 40, date '1950-01-01' + 7 * n, 60
FROM generate_series(1, ${rows} / 20) n;
DROP INDEX ix_results_constructor, ix_results_driver;
INSERT INTO results (race_id, driver, constructor, position, status, grid, pit_lane, laps, reason, points, origin_id)
SELECT r, 'driver-' || d, 'team-' || 1 + d / 2 % 10, d, CASE WHEN d > 18 THEN 'dnf' ELSE 'finished' END, d, false, 60,
  CASE WHEN d > 18 THEN 'engine' END, 0, 1 + r % 100
FROM generate_series(1, ${rows} / 20) r, generate_series(1, 20) d;
CREATE INDEX ix_results_constructor ON results (constructor);
CREATE INDEX ix_results_driver ON results (driver);`,
    // This API only reads.
    requests: (rows) => {
      const seasons = Math.min(151, Math.ceil(rows / 20 / 40))
      return (number) => {
        const season = 1950 + random(seasons)
        const round = 1 + random(Math.min(40, Math.floor(rows / 20)))
        if (number % 40 === 0) return { method: "GET", path: `/api/f1/standings?season=${season}` }
        return { method: "GET", path: `/api/f1/races/${season}/${round}` }
      }
    },
  },
}

/** Keeps two columns the same, whichever of them code writes. @param {Database} database */
function mirror({ table, renamed: { from, to, type } }) {
  return `op.execute("ALTER TABLE ${table} ADD COLUMN ${to} ${type}")
op.execute("""
    CREATE FUNCTION ${table}_${to}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF TG_OP = 'INSERT' THEN
            NEW.${to} := coalesce(NEW.${to}, NEW.${from});
            NEW.${from} := NEW.${to};
        ELSIF NEW.${from} IS DISTINCT FROM OLD.${from} THEN
            NEW.${to} := NEW.${from};
        ELSIF NEW.${to} IS DISTINCT FROM OLD.${to} THEN
            NEW.${from} := NEW.${to};
        END IF;
        RETURN NEW;
    END $$
    """)
op.execute("CREATE TRIGGER ${table}_${to} BEFORE INSERT OR UPDATE ON ${table}"
           " FOR EACH ROW EXECUTE FUNCTION ${table}_${to}()")`
}

/** @param {string} statement */
const outside = (statement) => `with outside_transaction():\n    op.execute("${statement}")`

/** @type {Record<string, (database: Database) => Case>} */
export const cases = {
  "add column": ({ table }) => ({
    ours: [{ body: `op.execute("ALTER TABLE ${table} ADD COLUMN note text")` }],
    naive: `op.execute("ALTER TABLE ${table} ADD COLUMN note text")`,
  }),
  index: ({ table }) => ({
    ours: [
      { body: outside(`CREATE INDEX CONCURRENTLY IF NOT EXISTS ${table}_origin ON ${table} (origin_id)`) },
    ],
    naive: `op.execute("CREATE INDEX ${table}_origin ON ${table} (origin_id)")`,
  }),
  "not null": ({ table }) => ({
    ours: [
      {
        body: `op.execute("ALTER TABLE ${table} ADD CONSTRAINT has_origin CHECK (origin_id IS NOT NULL) NOT VALID")`,
      },
      { body: outside(`ALTER TABLE ${table} VALIDATE CONSTRAINT has_origin`) },
      {
        // Two statements: in one, PostgreSQL drops the constraint first, and then has to read all rows.
        body: `op.execute("ALTER TABLE ${table} ALTER COLUMN origin_id SET NOT NULL")
op.execute("ALTER TABLE ${table} DROP CONSTRAINT has_origin")`,
      },
    ],
    naive: `op.execute("ALTER TABLE ${table} ALTER COLUMN origin_id SET NOT NULL")`,
  }),
  "foreign key": ({ table }) => ({
    ours: [
      {
        body: `op.execute("ALTER TABLE ${table} ADD CONSTRAINT of_origin FOREIGN KEY (origin_id) REFERENCES origins NOT VALID")`,
      },
      { body: outside(`ALTER TABLE ${table} VALIDATE CONSTRAINT of_origin`) },
    ],
    naive: `op.execute("ALTER TABLE ${table} ADD CONSTRAINT of_origin FOREIGN KEY (origin_id) REFERENCES origins")`,
  }),
  backfill: ({ table, key, batch }) => ({
    ours: [
      {
        body: `in_batches("${table}", "${key}", "UPDATE ${table} SET kind = 'pasta' WHERE {batch}", size=${batch})`,
      },
    ],
    naive: `op.execute("UPDATE ${table} SET kind = 'pasta'")`,
  }),
  rename: (database) => {
    const { table, key, batch, renamed } = database
    const { from, to } = renamed
    return {
      renames: true,
      ours: [
        { body: mirror(database) },
        {
          // It changes one row in ten.
          body: `in_batches("${table}", "${key}", "UPDATE ${table} SET ${to} = ${from} WHERE {batch} AND ${from} IS NOT NULL", size=${10 * batch})`,
        },
        {
          body: `op.execute("DROP TRIGGER ${table}_${to} ON ${table}")
op.execute("DROP FUNCTION ${table}_${to}()")
op.execute("ALTER TABLE ${table} DROP COLUMN ${from}")`,
          behind: true,
        },
      ],
      naive: `op.execute("ALTER TABLE ${table} RENAME COLUMN ${from} TO ${to}")`,
    }
  },
}

/**
 * A migration as a file.
 *
 * @param {string} revision @param {string} before the revision that it follows @param {string} body
 */
export const migrationFile = (revision, before, body) => `from alembic import op
from servicekit.migrations import in_batches, outside_transaction

revision, down_revision = "${revision}", "${before}"


def upgrade():
${body.replace(/^/gm, "    ")}


def downgrade():
    raise NotImplementedError
`

/** What `alembic init` makes, without what it has for other uses. */
export const plainEnvironment = `import os

from alembic import context
from sqlalchemy import create_engine, pool

url = os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+psycopg://")
with create_engine(url, poolclass=pool.NullPool).connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
`
