import {
  CloudFrontClient,
  CreateInvalidationCommand,
  GetInvalidationCommand,
  TooManyInvalidationsInProgress,
} from "@aws-sdk/client-cloudfront"
import type { Clock } from "../lib/clock.js"
import type { Credentials } from "./bucket.js"

/** Most paths that a distribution has in progress; those with an asterisk count for themselves. */
const limits = { paths: 3_000, wildcards: 15 }
/** Milliseconds: for an invalidation to be done, for a place among those in progress, and between two looks. */
const waits = { done: 10 * 60_000, place: 5 * 60_000, pause: 5_000 }

/** Makes a distribution forget what it has cached. */
export interface Invalidations {
  /**
   * @param reference of the operation: the same reference makes no second invalidation
   * @returns a warning when it was not done in time; it goes on by itself
   */
  invalidate(paths: string[], reference: string): Promise<string | undefined>
}

/** What an invalidation names: every path, or all of them by one when they are too many. */
export function pathsOf(paths: string[]): string[] {
  const all = [...new Set(paths)].sort()
  const wildcards = all.filter((path) => path.includes("*")).length
  return all.length > limits.paths || wildcards > limits.wildcards ? ["/*"] : all
}

/** Invalidations of a CloudFront distribution. */
export class CloudFrontInvalidations implements Invalidations {
  private readonly client: CloudFrontClient

  constructor(
    private readonly distribution: string,
    private readonly clock: Clock,
    { credentials, endpoint }: { credentials: Credentials; endpoint?: string | undefined },
  ) {
    this.client = new CloudFrontClient({
      region: "us-east-1",
      credentials,
      maxAttempts: 5,
      ...(endpoint !== undefined && { endpoint }),
    })
  }

  async invalidate(paths: string[], reference: string): Promise<string | undefined> {
    const { clock, distribution } = this
    const Id = await this.begin(pathsOf(paths), reference)
    for (const until = clock.now() + waits.done; clock.now() < until;) {
      const { Invalidation } = await this.client.send(
        new GetInvalidationCommand({ DistributionId: distribution, Id }),
      )
      if (Invalidation?.Status?.toLowerCase() === "completed") return undefined
      await clock.pause(waits.pause)
    }
    return `the invalidation ${Id} of ${distribution} is not done after ${waits.done / 60_000} minutes: it goes on by itself, and until then some visitors get the release before`
  }

  /** Waits for a place while others are in progress. */
  private async begin(paths: string[], reference: string): Promise<string> {
    const { clock, distribution } = this
    for (const until = clock.now() + waits.place; ;) {
      try {
        const { Invalidation } = await this.client.send(
          new CreateInvalidationCommand({
            DistributionId: distribution,
            InvalidationBatch: {
              CallerReference: reference,
              Paths: { Quantity: paths.length, Items: paths },
            },
          }),
        )
        if (Invalidation?.Id !== undefined) return Invalidation.Id
        throw new Error("CloudFront named no invalidation")
      } catch (error) {
        const isFull = error instanceof TooManyInvalidationsInProgress && clock.now() < until
        if (!isFull) {
          const { name = "", message = String(error) } = error instanceof Error ? error : {}
          throw new Error(
            `the distribution ${distribution} cannot be told to forget old pages: ${name} ${message}`,
            { cause: error },
          )
        }
        await clock.pause(waits.pause)
      }
    }
  }
}
