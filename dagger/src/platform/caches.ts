import { type CacheVolume, dag } from "@dagger.io/dagger"

let scope = ""

/**
 * Chooses the caches of this call. Every call is a process of its own, so this is a constant of the process.
 *
 * @param name such as `pull-request`; empty: the caches of the machine
 * @throws Error for a name that cannot be part of a volume's name
 */
export function useCaches(name: string): void {
  if (!/^([a-z0-9][a-z0-9-]*)?$/.test(name)) {
    throw new Error(`caches is "${name}": it can have lower-case letters, digits and hyphens`)
  }
  scope = name
}

/** The volume of the chosen caches. Gates mount one, so their remembered passes belong to these caches as well. */
export function cache(name: string): CacheVolume {
  return dag.cacheVolume(scoped(name))
}

/** The build arguments with which a Dockerfile mounts the chosen caches. */
export function cacheArguments(): { name: string; value: string }[] {
  return scope === "" ? [] : [{ name: "CACHES", value: scoped("") }]
}

const scoped = (name: string): string => (scope === "" ? name : `${name}-${scope}`)
