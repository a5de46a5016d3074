import { describe, expect, it } from "vitest"
import type { KubernetesObject } from "../../src/clients/kubernetes/client.js"
import { passedImages, verdictFor, verdictObject } from "../../src/delivery/verdicts.js"

const [one, two] = ["a1", "b2"].map((text) => `sha256:${text.repeat(32)}`) as [string, string]

const verdict = (said: "passed" | "failed", at: string, digests = [one]): KubernetesObject => {
  const object = verdictObject("f1-production-guards", {
    id: "x",
    by: "ci",
    verdict: said,
    commit: "c",
    digests,
  })
  const creationTimestamp = new Date(`2026-11-26T${at}Z`)
  return { ...object, metadata: { ...object.metadata, creationTimestamp } }
}

describe("images that passed", () => {
  it("are those of verdicts that say so", () => {
    expect(passedImages([verdict("passed", "10:00:00", [one, two]), verdict("failed", "09:00:00")])).toEqual({
      digests: [one, two],
      at: Date.parse("2026-11-26T10:00:00Z"),
    })
    expect(passedImages([])).toBeUndefined()
  })

  it("lose a pass to a later failure, in whatever order they are read", () => {
    const [pass, failure] = [verdict("passed", "10:00:00"), verdict("failed", "10:01:00")]
    expect(passedImages([pass, failure])).toBeUndefined()
    expect(passedImages([failure, pass])).toBeUndefined()
    expect(passedImages([failure, pass, verdict("passed", "10:02:00")])?.digests).toEqual([one])
  })

  it("lose a pass to a failure of the same second", () => {
    const both = [verdict("passed", "10:00:00"), verdict("failed", "10:00:00")]
    expect(passedImages(both)).toBeUndefined()
    expect(passedImages(both.reverse())).toBeUndefined()
  })

  it.each<Record<string, string>>([
    {},
    { verdict: "passed" },
    { verdict: "passed", digests: "latest" },
    { verdict: "Passed", digests: one },
  ])("are not read from %j", (data) => {
    expect(passedImages([{ ...verdict("passed", "10:00:00"), data }])).toBeUndefined()
  })
})

describe("the verdict of a report", () => {
  const gates = [
    { gate: "api:test", outcome: "passed" },
    { gate: "security:trivy", outcome: "passed" },
    { gate: "security:snyk", outcome: "skipped" },
  ]
  const release = { commit: "c", services: ["api"] }

  it("is a pass when every gate that ran passed", () => {
    expect(verdictFor({ revision: "c", gates }, release)).toEqual({ verdict: "passed", commit: "c" })
  })

  it.each(["failed", "could not run"])("is a failure when a gate %s", (outcome) => {
    const more = [...gates, { gate: "web:test", outcome }]
    expect(verdictFor({ revision: "c", gates: more }, release).verdict).toBe("failed")
  })

  it.each([
    ["another commit", { revision: "d", gates }, release, "about d"],
    ["changes on top of it", { revision: "c-dirty", gates }, release, "about c-dirty"],
    ["no commit", { gates }, release, "about no commit"],
    ["a release without a commit", { gates }, { ...release, commit: undefined }, "does not name its commit"],
    [
      "affected gates only",
      { revision: "c", gates, because: "Affected since main: api" },
      release,
      "Affected since main",
    ],
    [
      "another service",
      { revision: "c", gates },
      { ...release, services: ["api", "f1-backend"] },
      "no gates of f1-backend ran",
    ],
    ["no scanner", { revision: "c", gates: gates.slice(0, 1) }, release, "no gates of security ran"],
    [
      "gates that were all skipped",
      { revision: "c", gates: gates.map(({ gate }) => ({ gate, outcome: "skipped" })) },
      release,
      "no gates of api, security ran",
    ],
  ] as const)("is refused for %s", (_, report, about, why) => {
    expect(() =>
      verdictFor({ ...report, gates: [...report.gates] }, { ...about, services: [...about.services] }),
    ).toThrow(why)
  })
})
