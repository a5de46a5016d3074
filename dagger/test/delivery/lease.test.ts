import { describe, expect, it } from "vitest"
import { LeaseHeld, Lease, leaseName, leaseSeconds } from "../../src/delivery/lease.js"
import { FakeClock } from "../lib/fake-clock.js"
import { FakeCluster } from "../clients/kubernetes/fake.js"

function begin() {
  const clock = new FakeClock()
  const cluster = new FakeCluster(clock)
  const reports: string[] = []
  const take = (who: string, client = cluster.client()) => {
    const options = { clock, report: (line: string) => reports.push(line) }
    return Lease.take(client, "staging", "api", who, options)
  }
  const spec = () => cluster.get("Lease", leaseName("api"))?.spec
  return { clock, cluster, take, spec, reports }
}

describe("Lease", () => {
  it("is taken where nobody has it, and written as Kubernetes writes it", async () => {
    const { take, spec } = begin()
    const lease = await take("ada")
    expect(lease.holder).toMatch(/^ada \([0-9a-f]{6}\)$/)
    expect(spec()).toEqual({
      holderIdentity: lease.holder,
      leaseDurationSeconds: leaseSeconds,
      acquireTime: "2026-03-02T10:00:00.000000Z",
      renewTime: "2026-03-02T10:00:00.000000Z",
      leaseTransitions: 0,
    })
    lease.check()
  })

  it("has a holder of bounded length, whatever the user's name is, and still tells commands apart", async () => {
    const { clock, take } = begin()
    const name = `oidc:${"x".repeat(300_000)}\n::error::`
    const first = await clock.until(take(name))
    expect(first.holder.length).toBeLessThan(300)
    await expect(clock.until(take(name))).rejects.toThrow(LeaseHeld)
    await first.release()
    expect((await clock.until(take(name))).holder).not.toBe(first.holder)
  })

  it("is refused while its holder lives, even to another command of the same person", async () => {
    const { clock, take } = begin()
    const first = await clock.until(take("ada"))
    const second = clock.until(take("ada"))
    await expect(second).rejects.toThrow(LeaseHeld)
    await expect(second).rejects.toThrow(`api is being deployed by ${first.holder} since 2026-03-02T10:00:00`)
    // The first sign of life is enough to know.
    expect(clock.now()).toBeLessThan(leaseSeconds * 1000)
    first.check()
  })

  it("is free after a silence of its duration, and its late holder stops", async () => {
    const { clock, cluster, take, spec, reports } = begin()
    const first = await clock.until(take("ada"))
    await clock.pass(9_000)
    first.abandon()
    const second = await clock.until(take("grace"))
    expect(clock.now()).toBeGreaterThanOrEqual(8_000 + leaseSeconds * 1000)
    expect(spec()).toMatchObject({ holderIdentity: second.holder, leaseTransitions: 1 })
    await clock.pass(60_000)
    second.check()
    expect(cluster.get("Lease", leaseName("api"))?.spec?.holderIdentity).toBe(second.holder)
    expect(reports).toEqual([])
  })

  it("stops the command that it was taken from", async () => {
    const { clock, cluster, take, spec } = begin()
    const lease = await clock.until(take("ada"))
    const address = cluster.get("Lease", leaseName("api"))
    cluster.merge(address ?? {}, { spec: { holderIdentity: "grace (2)" } })
    await clock.pass(5_000)
    expect(() => {
      lease.check()
    }).toThrow("the lease was taken by grace (2)")
    await clock.until(lease.release())
    expect(spec()?.holderIdentity).toBe("grace (2)")
  })

  it("survives an API server that restarts, and says so", async () => {
    const { clock, cluster, take, spec, reports } = begin()
    const lease = await clock.until(take("ada"))
    const renewed = spec()?.renewTime
    cluster.down = true
    await clock.pass(20_000)
    expect(reports[0]).toBe(
      "the lease could not be renewed: the API server cannot be reached: connect ECONNREFUSED",
    )
    cluster.down = false
    await clock.pass(5_000)
    lease.check()
    expect(spec()?.renewTime).not.toBe(renewed)
  })

  it("is free at once when it was released", async () => {
    const { clock, take, spec } = begin()
    const first = await clock.until(take("ada"))
    await clock.until(first.release())
    expect(spec()).not.toHaveProperty("holderIdentity")
    const before = clock.now()
    const second = await clock.until(take("grace"))
    expect(clock.now()).toBe(before)
    expect(spec()).toMatchObject({ holderIdentity: second.holder, leaseTransitions: 1 })
  })

  it("goes to one of two that come at the same time", async () => {
    const { clock, take } = begin()
    const results = await clock.until(Promise.allSettled([take("ada"), take("grace")]))
    expect(results.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"])
    const [refused] = results.filter((result) => result.status === "rejected")
    expect(refused?.reason).toBeInstanceOf(LeaseHeld)
  })
})
