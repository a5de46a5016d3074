import { describe, expect, it } from "vitest"
import {
  approvalFor,
  evaluateGuards,
  type Approval,
  type GuardInput,
} from "../../../src/delivery/guards/guards.js"
import type { Author } from "../../../src/delivery/guards/identities.js"
import { applyOverride, type Overrider } from "../../../src/delivery/guards/override.js"
import { at, identities, people, policy } from "./policy.js"

const [api, backend, other] = ["a", "b", "c"].map((digit) => `sha256:${digit.repeat(64)}`) as [
  string,
  string,
  string,
]
const now = at("2026-11-26T10:00Z")
const hour = 3_600_000

const contents = {
  api: { settings: "sha256:1", secrets: "scrypt:1" },
  "f1-backend": { settings: "sha256:2", secrets: "scrypt:2" },
}

const facts = (more: Partial<GuardInput> = {}): GuardInput => ({
  now,
  deployer: "dora",
  authors: { known: [by("alan")] },
  identities: people,
  digests: { api, "f1-backend": backend },
  contents,
  checked: { digests: [api, backend, other], at: now - hour },
  approvals: [approval()],
  database: { api: { compatible: true } },
  ...more,
})

function by(name: string): Author {
  return { name, email: `${name}@example.com`, commit: "1".repeat(40) }
}

function approval(more: Partial<Approval> = {}): Approval {
  return {
    id: "1",
    by: "grace",
    at: now - hour,
    expires: now + hour,
    digests: { api, "f1-backend": backend },
    contents,
    ...more,
  }
}

const production = policy(`
timezone: Europe/Rome
hours: { days: [mon, tue, wed, thu], from: "09:00", to: "16:00" }
holidays: [{ date: 12-25, name: Christmas }]
freezes: [{ from: 2026-12-24T00:00, to: 2027-01-04T06:00, reason: End of the year }]
approval: { required: true, validFor: 24h }
checks: required
signature: required
signatures: { identity: "https://example.com/workflow@refs/heads/main", issuer: "https://issuer.example.com" }
`)
const open = { signatures: { [api]: [], [backend]: [] } }
const needsApproval = policy("approval: { required: true, validFor: 24h, approvers: [Grace, Ada] }")

describe("refusals", () => {
  it("is nothing when all holds", () => {
    expect(evaluateGuards(production, facts(open))).toEqual([])
  })

  it("is nothing where there are no guards", () => {
    const bare = facts({ checked: undefined, approvals: [], now: at("2026-11-28T02:00Z"), database: {} })
    expect(evaluateGuards(policy("{}"), bare)).toEqual([])
    expect(evaluateGuards(policy("approval: { required: false, validFor: 24h }"), bare)).toEqual([])
  })

  it("are all of them, each with what to do", () => {
    const found = evaluateGuards(
      production,
      facts({
        now: at("2026-12-25T02:05Z"),
        checked: undefined,
        approvals: [],
        database: {
          "f1-backend": { compatible: false, reason: "it is at 0007, the image reads 0005 at most" },
        },
      }),
    )
    expect(found).toEqual([
      {
        guard: "hours",
        reason:
          "Friday 2026-12-25 03:05 CET is outside Mon–Thu 09:00–16:00 (Europe/Rome); next at Monday 2027-01-04 09:00 CET",
        overridable: true,
      },
      {
        guard: "holiday",
        reason:
          "Friday 2026-12-25 is a holiday in Europe/Rome: Christmas; next at Monday 2027-01-04 09:00 CET",
        overridable: true,
      },
      {
        guard: "freeze",
        reason:
          "frozen until Monday 2027-01-04 06:00 CET: End of the year; next at Monday 2027-01-04 09:00 CET",
        overridable: true,
      },
      {
        guard: "approval",
        reason:
          "no approval for api@sha256:aaaaaaaaaaaa, f1-backend@sha256:bbbbbbbbbbbb by somebody other than the authors and the deployer",
        overridable: true,
      },
      {
        guard: "checks",
        reason: "ci has not passed for api@sha256:aaaaaaaaaaaa, f1-backend@sha256:bbbbbbbbbbbb",
        overridable: true,
      },
      {
        guard: "signature",
        reason:
          "no verified signature of api@sha256:aaaaaaaaaaaa: it was not verified; of f1-backend@sha256:bbbbbbbbbbbb: it was not verified",
        overridable: true,
      },
      {
        guard: "database",
        reason:
          "f1-backend cannot work with its database as it is: it is at 0007, the image reads 0005 at most; this cannot be overridden",
        overridable: false,
      },
    ])
  })

  it("says so when no time is allowed", () => {
    const closed = policy("freezes: [{ from: 2026-01-01T00:00Z, to: 2030-01-01T00:00Z, reason: Sold }]")
    expect(evaluateGuards(closed, facts())).toEqual([
      {
        guard: "freeze",
        reason: "frozen until Tuesday 2030-01-01 00:00 UTC: Sold; no time within 366 days is allowed",
        overridable: true,
      },
    ])
  })

  it("names the service that ci has not looked at", () => {
    const rules = policy("timezone: Europe/Rome\nchecks: required")
    const [found] = evaluateGuards(rules, facts({ checked: { digests: [backend], at: now - hour } }))
    expect(found?.reason).toBe(
      "ci has not passed for api@sha256:aaaaaaaaaaaa; it last passed at Thursday 2026-11-26 10:00 CET, for other images",
    )
    expect(evaluateGuards(rules, facts({ checked: { digests: [backend, api], at: now } }))).toEqual([])
  })

  it("names everything that speaks against the image of a service", () => {
    const faults = [
      "linux/arm64 sha256:0123456789ab: no SBOM in SPDX",
      "linux/arm64 sha256:0123456789ab: no provenance",
    ]
    const found = evaluateGuards(production, facts({ signatures: { [api]: [], [backend]: faults } }))
    expect(found.map(({ reason }) => reason)).toEqual([
      `no verified signature of f1-backend@sha256:bbbbbbbbbbbb: ${faults.join("; ")}`,
    ])
  })

  it("refuses a database that is too new in every environment", () => {
    const found = evaluateGuards(
      policy("{}"),
      facts({ database: { api: { compatible: false, reason: "x" } } }),
    )
    expect(found.map(({ guard, overridable }) => [guard, overridable])).toEqual([["database", false]])
  })

  it.each([
    ["no services", { digests: {} }, /a deploy of nothing; allowed: at least one service/],
    [
      "a tag",
      { digests: { api: "latest" } },
      /the digest of api is "latest"; allowed: sha256: and 64 hex digits/,
    ],
    ["half a digest", { digests: { api: api.slice(0, 40) } }, /the digest of api is "sha256:a+"; allowed/],
    ["no time", { now: NaN }, /the time of a deploy is NaN; allowed: ms since the epoch/],
  ])("throws on %s", (_, more, message) => {
    expect(() => evaluateGuards(policy("{}"), facts(more))).toThrow(message)
    expect(() => approvalFor(facts(more), needsApproval)).toThrow(message)
  })
})

describe("approvalFor", () => {
  it("is an approval by somebody else for these images", () => {
    const given = approval({ digests: { api, "f1-backend": backend, "f1-frontend": other } })
    expect(approvalFor(facts({ approvals: [given] }), needsApproval)).toBe(given)
  })

  it("is the first that counts", () => {
    const [own, good] = [approval({ id: "1", by: "alan" }), approval({ id: "2", by: "ada" })]
    expect(approvalFor(facts({ approvals: [own, good] }), needsApproval)?.id).toBe("2")
  })

  it("is none where none is needed", () => {
    expect(approvalFor(facts(), policy("{}"))).toBeUndefined()
  })

  it("lasts to just before its end", () => {
    expect(approvalFor(facts({ approvals: [approval({ expires: now + 1 })] }), needsApproval)).toBeDefined()
    const day = 24 * hour
    const long = { expires: now + 99 * day }
    expect(
      approvalFor(facts({ approvals: [approval({ ...long, at: now - day + 1 })] }), needsApproval),
    ).toBeDefined()
    expect(
      approvalFor(facts({ approvals: [approval({ ...long, at: now - day })] }), needsApproval),
    ).toBeUndefined()
  })

  it("may be given on a clock that is a little ahead", () => {
    const ahead = (minutes: number) => facts({ approvals: [approval({ at: now + minutes * 60_000 })] })
    expect(approvalFor(ahead(5), needsApproval)).toBeDefined()
    expect(approvalFor(ahead(6), needsApproval)).toBeUndefined()
  })

  const twice = identities(
    "[{ name: Grace, kubernetes: [grace, grace@corp] }, { name: Alan, emails: [alan@example.com] }]",
  )
  const bots = identities(
    "[{ name: Renovate, kubernetes: [renovate], github: ['renovate[bot]'], bot: true }]",
  )

  it.each<[string, Partial<GuardInput>, RegExp]>([
    ["nobody wrote", { authors: { known: [] } }, /^it is not known who wrote the change: it has no author$/],
    [
      "commits cannot be read of",
      { authors: { unknown: "this is a shallow clone" } },
      /^it is not known who wrote the change: this is a shallow clone$/,
    ],
    [
      "an unknown author wrote",
      { authors: { known: [by("alan"), by("eve")] } },
      /^the author eve <eve@example.com> \(commit 111111111111\) is nobody that is known: add this e-mail or login to identities in dagger\/config\/deploy.yaml$/,
    ],
    [
      "an unknown bot wrote",
      {
        authors: {
          known: [{ ...by("dependabot[bot]"), email: "49699333+dependabot[bot]@users.noreply.github.com" }],
        },
      },
      /the author dependabot\[bot\] .* is nobody that is known/,
    ],
    [
      "an unknown login has part in",
      { authors: { known: [by("alan"), { named: "eve" }] } },
      /the author eve is nobody that is known/,
    ],
    ["nobody deploys", { deployer: "" }, /^it is not known who deploys the change$/],
    [
      "an unknown user deploys",
      { deployer: "kubernetes-admin" },
      /^it is not known which person deploys as kubernetes-admin: add this name to identities/,
    ],
  ])("is none for a change that %s", (_, more, reason) => {
    const all = facts(more)
    expect(approvalFor(all, needsApproval)).toBeUndefined()
    const [found, ...others] = evaluateGuards(needsApproval, all)
    expect(others).toEqual([])
    expect(found).toMatchObject({ guard: "approval", overridable: true })
    expect(found?.reason).toMatch(reason)
  })

  it("counts for a change of bots, and for a deploy by a service account", () => {
    const known = [{ ...by("x"), email: "29139614+renovate[bot]@users.noreply.github.com" }]
    const all = facts({
      authors: { known },
      deployer: "system:serviceaccount:ci:deployer",
      identities: [...people, ...bots],
    })
    expect(approvalFor(all, needsApproval)?.by).toBe("grace")
  })

  it("names each unknown author once, and not all of very many", () => {
    const strangers = Array.from({ length: 25 }, (_, at) => ({
      ...by(`s${at % 12}`),
      commit: String(at).padStart(40, "0"),
    }))
    const found = evaluateGuards(needsApproval, facts({ authors: { known: strangers } }))
    expect(found).toHaveLength(11)
    expect(found.at(-1)?.reason).toBe("2 more authors are unknown too")
  })

  it.each<[string, Partial<Approval>, Partial<GuardInput>, RegExp]>([
    [
      "by an author",
      { by: "ada" },
      { authors: { known: [by("alan"), by("ada")] } },
      /that of ada does not count: they wrote the change/,
    ],
    [
      "by an author in other letters",
      { by: "ADA" },
      { authors: { known: [by("ada")] } },
      /ADA does not count: they wrote/,
    ],
    [
      "by an author in wide letters",
      { by: "ａｄａ" },
      { authors: { known: [by("Ada")] } },
      /they wrote the change/,
    ],
    [
      "by an author whose e-mail GitHub hides",
      { by: "ada" },
      { authors: { known: [{ ...by("x"), email: "12345+Ada-GH@users.noreply.github.com" }] } },
      /they wrote the change/,
    ],
    [
      "by an author whom the command names",
      { by: "ada" },
      { authors: { known: [by("alan"), { named: "ada-gh" }] } },
      /they wrote the change/,
    ],
    [
      "by the deployer under another name",
      { by: "grace" },
      { deployer: "grace@corp", identities: twice },
      /they deploy the change/,
    ],
    ["by a bot", { by: "renovate" }, { identities: [...people, ...bots] }, /a bot cannot approve/],
    [
      "by a user whom no identity has",
      { by: "eve" },
      {},
      /identities in dagger.config.deploy.yaml do not say who that is/,
    ],
    ["by the deployer", { by: "Grace" }, { deployer: "grace" }, /they deploy the change/],
    ["by somebody else", { by: "mallory" }, {}, /that of mallory does not count: they are no approver/],
    ["by nobody", { by: " " }, {}, /it has no name/],
    ["that has expired", { expires: now }, {}, /it expired at Thursday 2026-11-26 10:00 UTC/],
    [
      "that was expired when given",
      { expires: now - 9 * hour },
      {},
      /it expired at Thursday 2026-11-26 01:00/,
    ],
    ["older than the policy", { at: now - 25 * hour }, {}, /it expired at Thursday 2026-11-26 09:00 UTC/],
    ["dated ahead", { at: now + hour }, {}, /it is dated ahead, at Thursday 2026-11-26 11:00 UTC/],
    ["without an end", { expires: NaN }, {}, /its time cannot be read/],
    ["for one image", { digests: { api } }, {}, /it is not for f1-backend@sha256:bbbbbbbbbbbb$/],
    [
      "for an older image",
      { digests: { api: other, "f1-backend": backend } },
      {},
      /it is not for api@sha256:aaaa/,
    ],
    [
      "for images the other way round",
      { digests: { api: backend, "f1-backend": api } },
      {},
      /not for api@.*, f1-/,
    ],
    ["for nothing", { digests: {} }, {}, /it is not for api@/],
  ])("is none %s", (_, given, more, reason) => {
    const all = facts({ approvals: [approval(given)], ...more })
    expect(approvalFor(all, needsApproval)).toBeUndefined()
    const [found] = evaluateGuards(needsApproval, all)
    expect(found).toMatchObject({ guard: "approval", overridable: true })
    expect(found?.reason).toMatch(
      /^no approval for api@\S+ f1-backend@\S+ by one of Grace, Ada other than the authors/,
    )
    expect(found?.reason).toMatch(reason)
    expect(found).not.toHaveProperty("until")
  })
})

describe("override", () => {
  const all = evaluateGuards(
    production,
    facts({ now: at("2026-11-28T10:00Z"), database: { api: { compatible: false, reason: "x" } } }),
  )
  const reason = "fixes the login, agreed with Ada"
  const open = policy("overrides: { approval: [dora], signature: [group:managers], ownChanges: [] }")
  const overrider = (more: Partial<Overrider> = {}): Overrider => ({
    who: "dora",
    groups: ["system:authenticated", "managers"],
    authors: { known: [by("alan")] },
    identities: people,
    policies: [open],
    ...more,
  })
  const standing = (more: Partial<Overrider>) =>
    applyOverride(all, reason, overrider(more)).standing.map(({ guard }) => guard)

  it("overrides what this user may, and never a database that cannot be worked with", () => {
    const { overridden, standing } = applyOverride(all, reason, overrider())
    expect(overridden.map(({ guard }) => guard)).toEqual(["hours", "approval", "signature"])
    expect(standing.map(({ guard }) => guard)).toEqual(["database"])
  })

  it("is for nobody where the policy names nobody, but for the calendar", () => {
    const { standing } = applyOverride(all, reason, overrider({ policies: [production] }))
    expect(standing.map(({ guard }) => guard)).toEqual(["approval", "signature", "database"])
    expect(standing[0]?.reason).toContain(
      "dora may not override it; allowed: nobody (guards.overrides.approval)",
    )
    expect(standing[1]?.reason).toContain("allowed: nobody (guards.overrides.signature)")
  })

  it("is by the user and the groups that the API server names, and by all policies", () => {
    expect(standing({ who: "grace" })).toEqual(["approval", "database"])
    expect(standing({ who: "Dora" })).toEqual(["approval", "database"])
    expect(standing({ groups: ["system:authenticated"] })).toEqual(["signature", "database"])
    expect(standing({ groups: [] })).toEqual(["hours", "signature", "database"])
    expect(standing({ policies: [production, open] })).toEqual(["approval", "signature", "database"])
    expect(standing({ policies: [open, production] })).toEqual(["approval", "signature", "database"])
  })

  it.each<[string, Partial<Overrider>, string]>([
    ["by an author", { authors: { known: [by("alan"), by("dora")] } }, "they wrote the change"],
    [
      "where an author is unknown",
      { authors: { known: [by("eve")] } },
      "not every author of the change is known",
    ],
    ["where no author is known", { authors: { unknown: "shallow" } }, "it is not known who wrote the change"],
    ["by a user whom no identity has", { identities: [] }, "deploy.yaml does not say who they are"],
  ])("of an approval is not %s, unless ownChanges says so", (_, more, why) => {
    const [approval] = applyOverride(all, reason, overrider(more)).standing
    expect(approval).toMatchObject({ guard: "approval" })
    expect(approval?.reason).toContain(`dora may not override it: ${why}`)
    const own = policy("overrides: { approval: [dora], signature: [dora], ownChanges: [dora] }")
    expect(standing({ ...more, policies: [own] })).toEqual(["database"])
    expect(standing({ ...more, policies: [own, open] })).toEqual(["approval", "database"])
  })

  it("never lets an environment into another one", () => {
    const intrusion = { guard: "environment" as const, reason: "x", overridable: true }
    expect(applyOverride([intrusion], reason, overrider()).overridden).toEqual([])
  })

  it.each([
    "ログイン障害を修正する",
    "紧急修复支付故障",
    "긴급 결제 오류 수정",
    "แก้ไขปัญหาการเข้าสู่ระบบ",
    "कर गणना सुधार",
    "ክፍያ ማስተካከያ",
    "إصلاح الدفع الآن",
  ])("takes a reason in any script: %s", (text) => {
    expect(applyOverride(all, text, overrider()).standing).toHaveLength(1)
  })

  it.each([
    "",
    "   ",
    "urgent",
    "..............",
    "aaaaaaaaaaaaaaaa",
    "- - - - - - - - x",
    "asasasasasas",
    "修复",
    "修复修复修复",
  ])("does not for %j", (text) => {
    expect(() => applyOverride(all, text, overrider())).toThrow(
      /is no reason to override a guard; allowed: one that others can judge, of at least 10/,
    )
    expect(() => applyOverride([], text, overrider())).toThrow(/is no reason/)
  })
})
