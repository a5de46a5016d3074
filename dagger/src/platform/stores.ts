import { dag, type Container, type File, type Service } from "@dagger.io/dagger"
import { images } from "./base-images.js"

/**
 * A throw-away PostgreSQL 15. It does not wait for the disk, because its data ends with the run.
 *
 * @param owner who uses it: the engine runs equal services once, and two gates must not share rows
 * @param database created at start
 * @param seed SQL to fill it; empty by default
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

/** A throw-away Redis 7; see {@link postgres} for its owner. */
export function redis(owner: string): Service {
  return dag
    .container()
    .from(images.redis)
    .withEnvVariable("OWNER", owner)
    .withExposedPort(6379)
    .asService({ useEntrypoint: true, args: ["redis-server", "--save", ""] })
}

/** The URLs of {@link postgres} and {@link redis} on these hosts. */
export const addressesOf = (hosts: { db: string; redis: string }, database: string) => ({
  DATABASE_URL: `postgresql://postgres:${password}@${hosts.db}:5432/${database}`,
  REDIS_URL: `redis://${hosts.redis}:6379/0`,
})

/** Binds stores of its own to a container, and sets their URLs in its environment. */
export function withStores(container: Container, owner: string, database: string, seed?: File): Container {
  const { DATABASE_URL, REDIS_URL } = addressesOf({ db: "db", redis: "redis" }, database)
  return container
    .withServiceBinding("db", postgres(owner, database, seed))
    .withServiceBinding("redis", redis(owner))
    .withEnvVariable("DATABASE_URL", DATABASE_URL)
    .withEnvVariable("REDIS_URL", REDIS_URL)
}

// It protects nothing: the server lives for one run, and only this run can reach it.
const password = "postgres"
