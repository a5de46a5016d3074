import type { Component, ImageInUse } from "../delivery/component.js"
import type { DeliveryContext } from "../delivery/executor.js"
import { strictestApproval } from "../delivery/guards/weakening.js"
import { digestOf } from "../delivery/release.js"

/**
 * Every image that an environment runs, may go back to or works with, and those that its approvals and its history name.
 *
 * @throws Error when some of it cannot be read, and for an environment in which nothing is deployed: it may be in another cluster
 */
export async function imagesOf(
  components: Pick<Component, "imagesInUse">[],
  { approvals, audit, environment, guards }: DeliveryContext,
): Promise<ImageInUse[]> {
  const [deployed, given, { events, unreadable }] = await Promise.all([
    Promise.all(components.map((one) => one.imagesInUse())).then((all) => all.flat()),
    strictestApproval(guards) ? approvals.all() : [],
    audit.read(),
  ])
  if (unreadable.length > 0)
    throw new Error(
      `the history of ${environment} has entries that this version cannot read: ${unreadable.slice(0, 5).join(", ")}`,
    )
  if (deployed.length === 0) throw new NothingDeployed(environment)
  const inHistory = events.flatMap(({ digest, request }) => [
    ...(digest === undefined ? [] : [digest]),
    ...(request ? [digestOf(request.image)] : []),
  ])
  return [
    ...deployed.map(({ digest, use }) => ({ digest, use: `${use} in ${environment}` })),
    ...given.flatMap(({ id, digests }) =>
      Object.values(digests).map((digest) => ({ digest, use: `the approval ${id} in ${environment}` })),
    ),
    ...[...new Set(inHistory)].map((digest) => ({ digest, use: `the history of ${environment}` })),
  ]
}

/**
 * The images that an environment uses, for a command that removes others.
 *
 * @param undeployed environments to which nothing was ever deployed
 * @param read see {@link imagesOf}
 * @throws Error when it is not known what they are
 */
export async function knownImages(
  environment: string,
  undeployed: string[],
  read: () => Promise<ImageInUse[]>,
): Promise<ImageInUse[]> {
  try {
    return await read()
  } catch (error) {
    const isEmpty = error instanceof NothingDeployed
    if (isEmpty && undeployed.includes(environment)) return []
    const hint = isEmpty
      ? `; if nothing ever was, say so with --undeployed ${environment}, and if it is another cluster, give its kubeconfig`
      : ""
    throw new Error(
      `it is not known which images ${environment} uses, so nothing is removed: ${(error as Error).message}${hint}`,
      { cause: error },
    )
  }
}

/** Nothing was found in an environment, which may mean that it is somewhere else. */
class NothingDeployed extends Error {
  override name = "NothingDeployed"
  constructor(environment: string) {
    super(`nothing is deployed to ${environment} in this cluster`)
  }
}
