import type { Override, RevertRequest } from "./component.js"

/** Other revisions that are looked at for one that fits: the image of each is read. */
const looked = 5

/**
 * Refuses a rollback after which a web app that visitors get would call what its backend does not serve, unless the request overrides that.
 *
 * @param target where it goes
 * @param others kept revisions that it may go to instead, newest first
 * @param options.lacks what web apps would miss with a revision, each in a sentence; what cannot be read is one too
 * @param options.first what else may come first, such as `take the web app back first`
 * @returns what is overridden; nothing when nothing had to be
 * @throws Error that says what lacks, and how to go on
 */
export async function refuseUnserved<Revision extends { number: number }>(
  target: Revision,
  others: Revision[],
  {
    lacks,
    first,
    override,
  }: { lacks: (revision: Revision) => Promise<string[]>; first: string } & Pick<RevertRequest, "override">,
): Promise<{ overridden?: Override }> {
  const missing = await lacks(target)
  if (missing.length === 0) return {}
  if (override !== undefined) return { overridden: { reason: override, guards: ["contract"] } }
  const fitting = await firstFitting(others.slice(0, looked), lacks)
  const instead = fitting
    ? `revision ${fitting.number} fits, with --to ${fitting.number}`
    : others.length === 0
      ? "no other revision is kept"
      : others.length > looked
        ? `none of the ${looked} newest other revisions fits`
        : "no other kept revision fits"
  throw new Error(
    `it cannot go back to revision ${target.number}: ${missing.join("; ")}. To go on: ${instead}; ${first}; or go back all the same with --override "why", which is recorded`,
  )
}

/** One after another: most often the first one fits. */
async function firstFitting<Revision>(
  revisions: Revision[],
  lacks: (revision: Revision) => Promise<string[]>,
): Promise<Revision | undefined> {
  for (const one of revisions) if ((await lacks(one)).length === 0) return one
  return undefined
}
