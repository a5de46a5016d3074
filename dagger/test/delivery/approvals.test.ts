import { describe, expect, it } from "vitest"
import { approvalObject, readApproval } from "../../src/delivery/approvals.js"
import { approvalFor, type GuardInput } from "../../src/delivery/guards/guards.js"
import { people, policy } from "./guards/policy.js"

const digest = `sha256:${"a1".repeat(32)}`
const now = Date.parse("2026-11-26T10:00:00Z")
const given = approvalObject("f1-production-approvals", {
  id: "one",
  by: "grace",
  expires: now + 3_600_000,
  digests: { api: digest },
  note: "read it all",
})
const made = { ...given, metadata: { ...given.metadata, creationTimestamp: new Date(now - 60_000) } }

describe("an approval", () => {
  it("comes back as it was given, at the time that the API server says", () => {
    expect(readApproval(made)).toEqual({
      id: "one",
      by: "grace",
      at: now - 60_000,
      expires: now + 3_600_000,
      digests: { api: digest },
      note: "read it all",
    })
  })

  it("says who gives it where the admission policy looks", () => {
    expect(given.data?.by).toBe("grace")
    expect(given.metadata?.labels).toHaveProperty(["pitwall.dev/approval"])
    expect(given.immutable).toBe(true)
  })

  it.each<Record<string, string>>([
    {},
    { by: "grace" },
    { by: "grace", digests: "{", expires: "later" },
    { by: "grace", digests: "[1]" },
  ])("does not count as %j", (data) => {
    const facts: GuardInput = {
      now,
      deployer: "system:serviceaccount:ci:deployer",
      authors: { known: [{ named: "alan" }] },
      identities: people,
      digests: { api: digest },
      ...{ checked: undefined, approvals: [readApproval({ ...made, data })], database: {} },
    }
    const rules = policy("approval: { required: true, validFor: 24h }")
    expect(approvalFor(facts, rules)).toBeUndefined()
    expect(approvalFor({ ...facts, approvals: [readApproval(made)] }, rules)?.by).toBe("grace")
  })
})
