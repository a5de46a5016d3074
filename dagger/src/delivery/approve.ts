import { iso } from "./journal.js"
import type { ComponentId, WouldRun } from "./component.js"
import type { DeliveryContext } from "./executor.js"

/**
 * Approves what components would run, in the name of whoever runs the command, and records that.
 *
 * @param options.validFor seconds
 * @returns a sentence for people
 * @throws Error for somebody who may not approve
 */
export async function approve(
  { approvals, environment, id, journal, now, who }: DeliveryContext,
  wanted: (WouldRun & { component: ComponentId })[],
  { note, validFor }: { note: string; validFor: number },
): Promise<string> {
  const at = now()
  const expires = at + validFor * 1000
  const named = <Value>(of: (one: WouldRun) => Value) =>
    Object.fromEntries(wanted.map((one) => [one.component.name, of(one)]))
  await approvals.give({
    id,
    by: who,
    at,
    expires,
    digests: named(({ digest }) => digest),
    contents: named(({ contents }) => contents),
    ...(note !== "" && { note }),
  })
  await Promise.all(
    wanted.map(({ component, digest }) =>
      journal.record({ kind: "approved", component, message: note, digest }),
    ),
  )
  const list = wanted.map(({ component, digest }) => `${component.name}@${digest}`)
  return `${who} approves ${list.join(", ")} with these settings and secrets for ${environment} until ${iso(expires)}; the approval is ${id}`
}
