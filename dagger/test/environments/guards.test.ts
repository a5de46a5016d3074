import { readFileSync } from "node:fs"
import { describe, expect, it } from "vitest"
import { readGuarded } from "../../src/environments/guards.js"

const shipped = readFileSync(new URL("../../config/deploy.yaml", import.meta.url), "utf8")
const read = (text: string, environment: "staging" | "production" = "production", committed = shipped) =>
  readGuarded(committed, [{ file: "settings.yaml", text }], environment).guards
const found = (...args: Parameters<typeof read>) =>
  read(...args).weakened.map(({ guard, path, place }) => `${place ?? ""} ${guard}: ${path.join(".")}`)

describe("the guards of an environment", () => {
  it("are those of the committed file where settings change nothing of them", () => {
    const { committed, effective, weakened } = read(
      "environments: { production: { rollout: { postPromotion: 10s }, services: { api: { replicas: { min: 1, max: 2 } }, f1-backend: null } } }",
    )
    expect(weakened).toEqual([])
    expect(effective).toEqual(committed)
    expect(effective.approval?.required).toBe(true)
  })

  it("name every field that settings weaken, with the line of the settings", () => {
    const settings = `
environments:
  production:
    guards:
      hours: null
      holidays: []
      checks: none
      approval:
        validFor: 48h
`
    expect([...new Set(found(settings))]).toEqual([
      "settings.yaml:5 hours: environments.production.guards.hours",
      "settings.yaml:6 holiday: environments.production.guards.holidays",
      "settings.yaml:9 approval: environments.production.guards.approval.validFor",
      "settings.yaml:7 checks: environments.production.guards.checks",
    ])
    expect(read(settings).weakened[0]).toMatchObject({ committed: "Mon–Fri 09:00–16:00", effective: "none" })
  })

  it("are those that are committed, not those that the checkout has been edited to", () => {
    const edited = shipped.replace(/^ +hours: .*\n/m, "").replace("validFor: 24h", "validFor: 48h")
    const { weakened, digest } = readGuarded(edited, [], "production", shipped).guards
    const line = edited.split("\n").findIndex((text) => text.includes("validFor: 48h")) + 1
    expect(weakened.map(({ path, place }) => `${place ?? ""} ${path.slice(2).join(".")}`)).toEqual([
      expect.stringMatching(/^dagger\/config\/deploy\.yaml:\d+ guards\.hours$/),
      `dagger/config/deploy.yaml:${line} guards.approval.validFor`,
    ])
    expect(digest).not.toBe(readGuarded(shipped, [], "production").guards.digest)
  })

  it("are weaker where approvals and verdicts are looked for elsewhere", () => {
    expect(found("environments: { production: { namespace: mine } }")).toEqual([
      "settings.yaml:1 approval: environments.production.namespace",
      "settings.yaml:1 checks: environments.production.namespace",
    ])
    expect(found("environments: { staging: { namespace: mine } }")).toEqual([])
    expect(found("environments: { staging: { namespace: mine } }", "staging")).toEqual([])
  })

  it("are weaker with any other identities", () => {
    const committed = shipped.replace(
      /^identities:[^]*?^environments:/m,
      "identities: [{ name: Ada, emails: [ada@example.com] }]\nenvironments:",
    )
    expect(committed).not.toBe(shipped)
    const changed = (text: string) => found(text, "production", committed)
    const one = "settings.yaml:1 approval: identities"
    expect(changed("identities: [{ name: Ada, emails: [ada@example.com] }]")).toEqual([])
    expect(changed("identities: []")).toEqual([one])
    expect(changed("identities: [{ name: Ada, emails: [x@example.com] }]")).toEqual([one])
    expect(
      changed(
        "identities: [{ name: Ada, emails: [ada@example.com] }, { name: Eve, emails: [eve@example.com] }]",
      ),
    ).toEqual([one])
    expect(found("identities: []", "staging", committed)).toEqual([])
  })

  it.each([
    ["{ namespace: f1-production }", "namespace"],
    ["{ namespace: f1-production-guards }", "namespace"],
    [
      "{ services: { api: { hostnames: [api.staging.example.com, api.example.com] } } }",
      "services.api.hostnames",
    ],
    ["{ services: { api: { hostnames: ['*.example.com'] } } }", "services.api.hostnames"],
    ["{ services: { f1-backend: { hostnames: [api.example.com] } } }", "services.f1-backend.hostnames"],
  ])("keep staging out of production: %s", (staging, path) => {
    // Two environments of one configuration never share these, so the settings move production away.
    const moved =
      "{ namespace: elsewhere, services: { api: { hostnames: [a.example.org] }, f1-backend: { hostnames: [b.example.org] } } }"
    const settings = `environments: { staging: ${staging}, production: ${moved} }`
    const [intrusion, ...others] = read(settings, "staging").weakened
    expect(others).toEqual([])
    expect(intrusion).toMatchObject({
      guard: "environment",
      path: ["environments", "staging", ...path.split(".")],
    })
    expect(intrusion?.effective).toContain("which is of production")
  })

  it("keep staging out of production also where the settings move production away", () => {
    const moved =
      "environments: { staging: { namespace: f1-production }, production: { namespace: elsewhere } }"
    expect(found(moved, "staging")).toEqual(["settings.yaml:1 environment: environments.staging.namespace"])
  })

  it("keep an environment off the listener of another", () => {
    const committed = shipped.replaceAll(
      /gateway: \{ name: f1-(\w+), .*\}/g,
      "gateway: { name: public, namespace: router, section: $1 }",
    )
    expect(committed).not.toBe(shipped)
    const changed = (section: string) =>
      found(
        `environments: { staging: { gateway: { section: ${section} } }, production: { gateway: { section: elsewhere } } }`,
        "staging",
        committed,
      )
    const intrusion = "settings.yaml:1 environment: environments.staging.gateway"
    expect(changed("production")).toEqual([intrusion])
    expect(changed("other")).toEqual([])
  })

  it("have a digest of everything that decides", () => {
    const digest = (text: string) => read(text).digest
    const plain = digest("analysis: { noDataTimeout: 5m }")
    expect(plain).toMatch(/^sha256:/)
    for (const text of [
      "environments: { production: { guards: { hours: null } } }",
      "environments: { production: { namespace: mine } }",
      "identities: [{ name: Eve, emails: [eve@example.com] }]",
    ])
      expect(digest(text)).not.toBe(plain)
    expect(digest("environments: { production: { rollout: { postPromotion: 10s } } }")).toBe(plain)
  })
})
