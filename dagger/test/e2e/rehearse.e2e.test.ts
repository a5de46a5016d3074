// The deploy as people rehearse it: on a throw-away cluster, with load on it. What is held to here is what users had of it.
import { describe, expect, it } from "vitest"
import { faultNames } from "../../src/rehearsal/faults.js"
import type { RehearsalResult } from "../../src/rehearsal/measurements/result.js"
import { peerNames } from "../../src/rehearsal/peers/index.js"
import { daggerw } from "./daggerw.js"

async function rehearse(...args: string[]): Promise<Record<string, RehearsalResult>> {
  const { code, stdout, stderr } = await daggerw(["call", "rehearse", "--as-json", ...args]).ended
  expect(code, stderr.slice(-5_000)).toBe(0)
  const all = JSON.parse(stdout) as RehearsalResult[]
  return Object.fromEntries(all.map((one) => [`${one.fault}, ${one.strategy}`, one]))
}

// On a new machine the cluster, its router and the load are made first, from large Go programs.
describe("a rehearsal", { timeout: 45 * 60_000 }, () => {
  it("brings a good revision to all traffic without a lost request, and takes a bad one back", async () => {
    const all = await rehearse("--fault", "none", "--fault", "error-rate", "--strategy", "canary")

    const { outcome, failed, shares, sent } = all["none, canary"]?.figures ?? {}
    expect({ outcome, failed }).toEqual({ outcome: "promoted", failed: 0 })
    expect(sent).toBeGreaterThan(1_000)
    expect(shares?.map(({ weight }) => weight)).toEqual([10, 50])
    for (const { weight, measured, requests } of shares ?? []) {
      const deviation = 100 * Math.sqrt(((weight / 100) * (1 - weight / 100)) / requests)
      expect(Math.abs(measured - weight)).toBeLessThan(5 * deviation)
    }

    const bad = all["error-rate, canary"]?.figures
    expect(bad?.outcome).toBe("aborted")
    expect(bad?.failed).toBeGreaterThan(0)
    expect(bad?.failedByCandidate).toBe(bad?.failed)
  })

  it("switches blue-green at once without a lost request, and has others bring the same image to traffic", async () => {
    const peers = peerNames.flatMap((peer) => ["--peer", peer])
    const all = await rehearse("--fault", "none", "--strategy", "blue-green", ...peers)
    expect(all["none, blue-green"]?.figures).toMatchObject({ outcome: "promoted", failed: 0, shares: [] })
    for (const peer of peerNames) {
      const { outcome, sent, shares } = all[`none, ${peer}`]?.figures ?? {}
      expect(outcome, peer).toBe("promoted")
      expect(sent, peer).toBeGreaterThan(500)
      expect(
        shares?.map(({ weight }) => weight),
        peer,
      ).toEqual(peer === "kubectl" ? [] : [10, 50])
    }
  })

  it("says what can go wrong, also when it is asked for something else", async () => {
    const listed = await daggerw(["call", "faults"]).ended
    expect(
      listed.stdout
        .trim()
        .split("\n")
        .map((line) => line.split(" ")[0]),
    ).toEqual(["FAULT", ...faultNames])
    const { code, stderr } = await daggerw(["call", "rehearse", "--fault", "rain"]).ended
    expect(code).not.toBe(0)
    expect(stderr).toContain(`there is no fault "rain"; allowed: ${faultNames.join(", ")}`)
  })
})
