import { ApiError, type Kubernetes, type Thing } from "../kubernetes/client.js"

/** Seconds without a sign of life after which a lease is anybody's; and between signs. */
export const leaseSeconds = 15
const renewSeconds = 4

/** Another command holds the lease. */
export class Held extends Error {
  override name = "Held"
}

interface LeaseSpec {
  holderIdentity?: string | null
  leaseDurationSeconds?: number
  acquireTime?: string
  renewTime?: string
  leaseTransitions?: number
}

/**
 * The right to work on a service's rollout, as a Lease in the cluster: one command at a time.
 *
 * Nobody compares clocks: a lease is free when it has not been renewed for its duration by the watch of the one that wants it, as client-go's leader election does.
 */
export class Lease {
  private timer?: NodeJS.Timeout
  private lost?: string

  private constructor(
    private readonly cluster: Kubernetes,
    private readonly address: Thing,
    readonly holder: string,
  ) {}

  /**
   * @param holder who, for people
   * @throws Held when another command is alive and has it
   */
  static async take(cluster: Kubernetes, namespace: string, service: string, holder: string): Promise<Lease> {
    const address: Thing = {
      apiVersion: "coordination.k8s.io/v1",
      kind: "Lease",
      metadata: { namespace, name: leaseName(service) },
    }
    const lease = new Lease(cluster, address, holder)
    await lease.acquire(service)
    lease.timer = setInterval(() => void lease.renew(), renewSeconds * 1000)
    lease.timer.unref()
    return lease
  }

  private async acquire(service: string): Promise<void> {
    const live = await this.cluster.read(this.address)
    if (!live) {
      try {
        await this.cluster.create({ ...this.address, spec: { ...this.mine(), leaseTransitions: 0 } })
        return
      } catch (error) {
        if (!(error instanceof ApiError && error.status === 409)) throw error
        return this.acquire(service)
      }
    }
    const found = (live.spec ?? {}) as LeaseSpec
    if (found.holderIdentity && found.holderIdentity !== this.holder) {
      const later = await this.watchOf(found)
      if (later) {
        throw new Held(
          `${service} is being deployed by ${later.holderIdentity ?? "somebody"} since ${later.acquireTime ?? "?"}: wait for it, or ask them to stop`,
        )
      }
    }
    try {
      await this.cluster.merge(this.address, {
        metadata: { resourceVersion: live.metadata?.resourceVersion },
        spec: { ...this.mine(), leaseTransitions: (found.leaseTransitions ?? 0) + 1 },
      })
    } catch (error) {
      if (!(error instanceof ApiError && error.status === 409)) throw error
      return this.acquire(service)
    }
  }

  /** The lease as it is once its holder has shown that it lives; nothing, if it does not for a lease's duration. */
  private async watchOf(found: LeaseSpec): Promise<LeaseSpec | undefined> {
    const patience = (found.leaseDurationSeconds ?? leaseSeconds) * 1000
    for (const until = Date.now() + patience; Date.now() < until; ) {
      await new Promise((resolve) => setTimeout(resolve, 1000))
      const now = (await this.cluster.read(this.address))?.spec as LeaseSpec | undefined
      if (!now?.holderIdentity) return undefined
      if (now.renewTime !== found.renewTime || now.holderIdentity !== found.holderIdentity) return now
    }
    return undefined
  }

  /** @throws Held when the lease is no longer this command's: it must not act */
  check(): void {
    if (this.lost !== undefined) throw new Held(this.lost)
  }

  private async renew(): Promise<void> {
    try {
      const live = await this.cluster.read(this.address)
      const holder = (live?.spec as LeaseSpec | undefined)?.holderIdentity
      if (holder !== this.holder) {
        this.lost = `the lease was taken by ${holder ?? "nobody"}`
        clearInterval(this.timer)
        return
      }
      const { metadata } = live ?? {}
      await this.cluster.merge(this.address, {
        metadata: { resourceVersion: metadata?.resourceVersion },
        spec: { renewTime: stamp() },
      })
    } catch (error) {
      // Writes to the rollout are guarded by their resource version: to miss one renewal is no harm.
      console.warn(`the lease could not be renewed: ${(error as Error).message}`)
    }
  }

  /** Stops renewing, and leaves the lease as a killed command would. */
  abandon(): void {
    clearInterval(this.timer)
  }

  async release(): Promise<void> {
    this.abandon()
    if (this.lost === undefined) await this.cluster.merge(this.address, { spec: { holderIdentity: null } })
  }

  private mine(): LeaseSpec {
    return {
      holderIdentity: this.holder,
      leaseDurationSeconds: leaseSeconds,
      acquireTime: stamp(),
      renewTime: stamp(),
    }
  }
}

export const leaseName = (service: string): string => `${service}-rollout`

/** Kubernetes' MicroTime. */
const stamp = () => new Date().toISOString().replace("Z", "000Z")
