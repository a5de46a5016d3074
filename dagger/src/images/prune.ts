import { reachRegistry } from "../clients/registry/reach.js"
import { Repository } from "../clients/registry/repository.js"
import type { ImageInUse } from "../delivery/component.js"
import { parseRegistryAddress } from "../lib/image-reference.js"
import type { RegistryAccess } from "./access.js"
import { contentsOf } from "./contents.js"
import { decide, removals, verdictsText } from "./reachability.js"
import { releaseRepository } from "./release.js"

/** What to remove, and what must stay. */
export interface PruneOptions {
  /** @throws Error when it is not known what is in use */
  inUse: () => Promise<ImageInUse[]>
  /** Seconds for which what nobody uses stays. */
  age: number
  /** Milliseconds since the epoch. */
  now: number
  /** Only say what would go. */
  dryRun: boolean
  say: (line: string) => void
}

/**
 * Removes images and releases that nobody uses, with all that is said of them.
 *
 * @param services whose images are looked at
 * @returns a table of everything that was found, with the reason why it stays
 * @throws Error when something cannot be read, and nothing is removed then; and for a registry that does not delete. The same call goes on where another ended.
 */
export async function pruneRegistry(
  services: string[],
  registry: RegistryAccess,
  { inUse, age, now, dryRun, say }: PruneOptions,
): Promise<string> {
  const { registry: host, path } = parseRegistryAddress(registry.address)
  const client = await reachRegistry(host, registry)
  const repositories = Object.fromEntries(
    [...services, releaseRepository].map((name) => [
      name,
      new Repository(client, path === "" ? name : `${path}/${name}`),
    ]),
  )
  const before = await inUse()
  const contents = await contentsOf(
    repositories,
    before.map(({ digest }) => digest),
  )
  const verdicts = decide(contents, before, { age, now })
  if (dryRun) return verdictsText(verdicts, { done: false })
  // Reading a registry takes a while.
  const added = (await inUse()).find(({ digest }) => !before.some((one) => one.digest === digest))
  if (added)
    throw new Error(
      `an image came into use while the registry was read (${added.use}): nothing is removed; run the command again`,
    )
  for (const { name, digest, tags } of removals(verdicts)) {
    await repositories[name]?.remove(digest, tags)
    say(`removed ${name}@${digest}`)
  }
  return verdictsText(verdicts, { done: true })
}
