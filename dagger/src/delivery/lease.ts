import { randomBytes } from "node:crypto"
import { type Clock, monotonic } from "../lib/clock.js"
import { clip, oneLine } from "../lib/text.js"
import { ApiError, type KubernetesApi, type KubernetesObject } from "../clients/kubernetes/client.js"

/** Seconds without a renewal after which another command may take the lease. */
export const leaseSeconds = 15
const renewSeconds = 4
/** Characters of a holder's name: it is part of each rollout's state, whose size is limited. */
const longestName = 200

/** Another command holds the lease. */
export class LeaseHeld extends Error {
  override name = "Held"
}

interface LeaseSpec {
  holderIdentity?: string | null
  leaseDurationSeconds?: number
  acquireTime?: string
  renewTime?: string
  leaseTransitions?: number
}

export interface LeaseOptions {
  /** Name of the Lease; default: that of a service's rollout. */
  name?: string
  /** What its holder does with the subject, for the message to others. */
  activity?: string
  clock?: Clock
  /** Receives one line for each renewal that failed. */
  report?: (line: string) => void
}

/**
 * The right to work on a component, as a Lease in the cluster: one command at a time.
 *
 * No two clocks are compared. As in client-go's leader election, a command may take a lease that it has not seen renewed for the lease's duration.
 *
 * Unlike there, a holder that cannot renew continues: a restart of the API server is no reason to stop, and its writes are refused once another command has written.
 * It stops when it sees that another command holds the lease.
 */
export class Lease {
  private lost?: string
  private ended = false

  private constructor(
    private readonly cluster: KubernetesApi,
    private readonly address: KubernetesObject,
    /** The person and a random part for this command. */
    readonly holder: string,
    private readonly clock: Clock,
    private readonly report: (line: string) => void,
  ) {}

  /**
   * @param subject name of what the lease is for
   * @param who for people; two commands of one person are two holders
   * @throws Held when another command is alive and has it
   */
  static async take(
    cluster: KubernetesApi,
    namespace: string,
    subject: string,
    who: string,
    {
      name = leaseName(subject),
      activity = "being deployed",
      clock = monotonic,
      report = console.warn,
    }: LeaseOptions = {},
  ): Promise<Lease> {
    const address: KubernetesObject = {
      apiVersion: "coordination.k8s.io/v1",
      kind: "Lease",
      metadata: { namespace, name },
    }
    const holder = `${clip(oneLine(who), longestName)} (${randomBytes(3).toString("hex")})`
    const lease = new Lease(cluster, address, holder, clock, report)
    await lease.acquire(`${subject} is ${activity}`)
    void lease.keep()
    return lease
  }

  private async acquire(what: string): Promise<void> {
    for (;;) {
      const live = await this.cluster.read(this.address)
      const found = (live?.spec ?? {}) as LeaseSpec
      const before = found.holderIdentity ?? ""
      const other = before !== "" && before !== this.holder
      const alive = other ? await this.signOfLife(found) : undefined
      if (alive) {
        throw new LeaseHeld(
          `${what} by ${alive.holderIdentity ?? "somebody"} since ${alive.acquireTime ?? "?"}: wait for it, or ask them to stop`,
        )
      }
      const transitions = (found.leaseTransitions ?? -1) + (before === this.holder ? 0 : 1)
      const spec = { ...this.mine(), leaseTransitions: transitions }
      const taken = live
        ? this.write(live, spec)
        : unlessConflict(this.cluster.create({ ...this.address, spec }))
      if (await taken) return
    }
  }

  /** Waits for the holder to renew the lease; undefined if it does not within the lease's duration. */
  private async signOfLife(found: LeaseSpec): Promise<LeaseSpec | undefined> {
    const limit = (found.leaseDurationSeconds ?? leaseSeconds) * 1000
    for (const until = this.clock.now() + limit; this.clock.now() < until;) {
      await this.clock.pause(1000)
      const now = (await this.cluster.read(this.address))?.spec as LeaseSpec | undefined
      if (!now?.holderIdentity) return undefined
      if (now.renewTime !== found.renewTime || now.holderIdentity !== found.holderIdentity) return now
    }
    return undefined
  }

  /** @throws Held when the lease is no longer this command's: it must not act */
  check(): void {
    if (this.lost !== undefined) throw new LeaseHeld(this.lost)
  }

  private async keep(): Promise<void> {
    for (;;) {
      await this.clock.pause(renewSeconds * 1000, { ref: false })
      if (this.ended) return
      try {
        await this.renew()
      } catch (error) {
        this.report(`the lease could not be renewed: ${(error as Error).message}`)
      }
    }
  }

  private async renew(): Promise<void> {
    const live = await this.held()
    if (live && !this.ended) await this.write(live, { renewTime: this.stamp() })
  }

  /** The lease, if this command still holds it. */
  private async held(): Promise<KubernetesObject | undefined> {
    const live = await this.cluster.read(this.address)
    const holder = (live?.spec as LeaseSpec | undefined)?.holderIdentity ?? ""
    if (holder === this.holder) return live
    this.lost = `the lease was taken by ${holder === "" ? "nobody" : holder}`
    this.ended = true
    return undefined
  }

  /** Stops renewing without giving the lease back, as a killed command does. */
  abandon(): void {
    this.ended = true
  }

  /** Gives the lease back. Does nothing when another command holds it. */
  async release(): Promise<void> {
    this.abandon()
    while (this.lost === undefined) {
      const live = await this.held()
      if (live && (await this.write(live, { holderIdentity: null }))) return
    }
  }

  /** Like {@link release} at the end of an operation, whose own error matters more: a lease that is not released expires. */
  async end(): Promise<void> {
    await this.release().catch((error: unknown) => {
      this.report(`the lease was not released: ${(error as Error).message}`)
    })
  }

  /** @returns false when the lease has changed since it was read */
  private write(live: KubernetesObject, spec: LeaseSpec): Promise<boolean> {
    const { resourceVersion } = live.metadata ?? {}
    return unlessConflict(this.cluster.merge(this.address, { metadata: { resourceVersion }, spec }))
  }

  private mine(): LeaseSpec {
    return {
      holderIdentity: this.holder,
      leaseDurationSeconds: leaseSeconds,
      acquireTime: this.stamp(),
      renewTime: this.stamp(),
    }
  }

  /** Kubernetes' MicroTime. */
  private stamp(): string {
    return new Date(this.cluster.now()).toISOString().replace("Z", "000Z")
  }
}

/** The Lease of a service's rollout; the watchdog watches it. */
export const leaseName = (service: string): string => `${service}-rollout`

/** Whether a write succeeded; false when another one came first. */
async function unlessConflict(write: Promise<unknown>): Promise<boolean> {
  try {
    await write
    return true
  } catch (error) {
    if (error instanceof ApiError && error.status === 409) return false
    throw error
  }
}
