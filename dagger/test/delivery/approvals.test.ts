import { describe, expect, it } from "vitest"
import { approvalEntries, Approvals, entryPatterns, readApprovals } from "../../src/delivery/approvals.js"
import { approvalsName, guardsNamespace } from "../../src/delivery/access.js"
import { type Approval, approvalFor, type GuardInput } from "../../src/delivery/guards/guards.js"
import { FakeCluster } from "../clients/kubernetes/fake.js"
import { FakeClock } from "../lib/fake-clock.js"
import { people, policy } from "./guards/policy.js"

const [digest, other] = ["a1", "b2"].map((text) => `sha256:${text.repeat(32)}`) as [string, string]
const contents = { settings: digest, secrets: `scrypt:${"c3".repeat(32)}` }
const now = Date.parse("2026-11-26T10:00:00Z")
const given: Approval = {
  id: "20261126-100000-abcd",
  by: "grace",
  at: now - 60_000,
  expires: now + 3_600_000,
  digests: { api: digest, "f1-backend": other },
  contents: { api: contents, "f1-backend": { ...contents, settings: other } },
  note: "read it all",
}
const rules = policy("approval: { required: true, validFor: 24h }")
const facts = (approvals: Approval[]): GuardInput => ({
  now,
  deployer: "system:serviceaccount:ci:deployer",
  authors: { known: [{ named: "alan" }] },
  identities: people,
  digests: { api: digest },
  contents: { api: contents },
  checked: undefined,
  approvals,
  database: {},
})
const entries = approvalEntries(given)
const [key = "", value = ""] = Object.entries(entries)[0] ?? []

describe("an approval", () => {
  it("comes back as it was given", () => {
    expect(readApprovals(entries)).toEqual([given])
    expect(approvalFor(facts(readApprovals(entries)), rules)?.by).toBe("grace")
  })

  it("has the form that the admission policies want, whatever its note holds", () => {
    const odd = approvalEntries({ ...given, note: "two\nlines\nby=ada" })
    for (const [name, text] of Object.entries({ ...entries, ...odd })) {
      expect(name).toMatch(new RegExp(entryPatterns.approval.key))
      expect(text).toMatch(new RegExp(entryPatterns.approval.value))
    }
    expect(readApprovals(odd)[0]?.by).toBe("grace")
  })

  it.each<[string, Record<string, string>]>([
    ["nothing", {}],
    ["no image", { "one.revoked": "by=grace" }],
    ["an empty value", { [key]: "" }],
    ["no author", { [key]: value.replace(/^by=.*/, "by=") }],
    ["two authors", { [key]: value.replace("by=grace", "by=grace\nby=ada") }],
    ["a time that is none", { [key]: value.replace(/expires=.*/, "expires=never") }],
    ["no settings", { [key]: value.replace(/settings=.*/, "settings=") }],
    ["a short digest", { [key.slice(0, -1)]: value }],
  ])("does not count with %s", (_, data) => {
    expect(approvalFor(facts(readApprovals(data)), rules)).toBeUndefined()
  })

  it("does not count when two people wrote parts of it", () => {
    const [first = "", second = ""] = Object.keys(entries)
    const mixed = { [first]: value, [second]: (entries[second] ?? "").replace("by=grace", "by=ada") }
    expect(approvalFor(facts(readApprovals(mixed)), rules)).toBeUndefined()
  })

  it.each([
    ["by=ada\nat=2026-11-26T09:00:00.000Z\nreason=an advisory", { by: "ada", reason: "an advisory" }],
    ["nonsense", { by: "somebody" }],
  ])("does not count once it is revoked: %j", (text, revoked) => {
    const [read] = readApprovals({ ...entries, [`${given.id}.revoked`]: text })
    expect(read?.revoked).toMatchObject(revoked)
    expect(approvalFor(facts(read ? [read] : []), rules)).toBeUndefined()
  })
})

describe("the approvals of an environment", () => {
  const opened = () => {
    const cluster = new FakeCluster(new FakeClock())
    const metadata = { name: approvalsName, namespace: guardsNamespace("f1-production") }
    cluster.put({ apiVersion: "v1", kind: "ConfigMap", metadata })
    return { cluster, approvals: new Approvals(cluster.client(), "f1-production") }
  }

  it("are added to one object, and revoked once, by whoever may approve", async () => {
    const { approvals } = opened()
    await approvals.give(given)
    await approvals.give({ ...given, id: "two", at: now })
    const revocation = { by: "ada", at: now, reason: "an\nadvisory" }
    await approvals.revoke("two", revocation)
    expect(await approvals.all()).toEqual([
      given,
      { ...given, id: "two", at: now, revoked: { by: "ada", at: now, reason: "an advisory" } },
    ])
    await expect(approvals.revoke("two", revocation)).rejects.toThrow("was revoked by ada before")
    await expect(approvals.revoke("three", revocation)).rejects.toThrow(`allowed: ${given.id}`)
  })

  it("are pruned when they have expired and no revision has their images", async () => {
    const { approvals } = opened()
    await approvals.give(given)
    await approvals.give({ ...given, id: "two", digests: { api: other }, contents: { api: contents } })
    await approvals.give({ ...given, id: "three", expires: now + 9e6 })
    expect(await approvals.prune(now + 4e6, [digest])).toBe(1)
    expect((await approvals.all()).map(({ id }) => id)).toEqual([given.id, "three"])
  })

  it("cannot be given before an administrator has applied access", async () => {
    const approvals = new Approvals(new FakeCluster(new FakeClock()).client(), "f1-production")
    await expect(approvals.give(given)).rejects.toThrow(
      "nothing can be approved in the namespace f1-production-guards",
    )
    expect(await approvals.all()).toEqual([])
  })
})
