import { dag, type Container, type File, type Service } from "@dagger.io/dagger"
import { images } from "./base-images.js"

/** Throw-away stores: what is in them ends with the run, so nothing waits for a disk. */

/**
 * A PostgreSQL 15.
 *
 * @param owner who uses it: equal services are one and the same to the engine, and two gates must not share rows
 * @param database made at start
 * @param seed SQL that fills it; without it, it is empty
 */
export function postgres(owner: string, database: string, seed?: File): Service {
  const image = dag.container().from(images.postgres)
  return (seed ? image.withFile("/docker-entrypoint-initdb.d/seed.sql", seed, { permissions: 0o644 }) : image)
    .withEnvVariable("OWNER", owner)
    .withEnvVariable("POSTGRES_PASSWORD", password)
    .withEnvVariable("POSTGRES_DB", database)
    .withExposedPort(5432)
    .asService({
      useEntrypoint: true,
      args: ["postgres", "-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off"],
    })
}

/** A Redis 7; see `postgres` for its owner. */
export function redis(owner: string): Service {
  return dag
    .container()
    .from(images.redis)
    .withEnvVariable("OWNER", owner)
    .withExposedPort(6379)
    .asService({ useEntrypoint: true, args: ["redis-server", "--save", ""] })
}

/** The address of a database of {@link postgres}, and that of {@link redis}, by the names of their hosts. */
export const addressesOf = (hosts: { db: string; redis: string }, database: string) => ({
  DATABASE_URL: `postgresql://postgres:${password}@${hosts.db}:5432/${database}`,
  REDIS_URL: `redis://${hosts.redis}:6379/0`,
})

/** Puts stores of its own beside a container, with their addresses in its environment. */
export function withStores(container: Container, owner: string, database: string, seed?: File): Container {
  const { DATABASE_URL, REDIS_URL } = addressesOf({ db: "db", redis: "redis" }, database)
  return container
    .withServiceBinding("db", postgres(owner, database, seed))
    .withServiceBinding("redis", redis(owner))
    .withEnvVariable("DATABASE_URL", DATABASE_URL)
    .withEnvVariable("REDIS_URL", REDIS_URL)
}

// Of a server that lives for one run and that only this run can reach: no secret.
const password = "postgres"
