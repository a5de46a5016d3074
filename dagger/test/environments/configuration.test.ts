import { generateKeyPairSync } from "node:crypto"
import { readFileSync } from "node:fs"
import { describe, expect, it } from "vitest"
import {
  backendSettings,
  databaseSettings,
  environmentOf,
  modelSettings,
  readDeploy,
} from "../../src/environments/configuration.js"
import { secretEntry } from "../../src/environments/secrets.js"
import { images } from "../../src/platform/base-images.js"

const shipped = readFileSync(new URL("../../config/deploy.yaml", import.meta.url), "utf8")
const over = (text: string) => readDeploy(shipped, { file: "rehearsal.yaml", text })

describe("the deploy.yaml that is shipped", () => {
  const configuration = readDeploy(shipped)

  it("has the platform's rules", () => {
    expect(configuration.analysis.rules).toMatchObject([
      { metric: "error-rate", above: 10, for: 180 },
      { metric: "p95", above: 2000, for: 300 },
      { metric: "failing-pods", above: 50, for: 300 },
    ])
  })

  it("guards production and nothing else, and begins a canary there with 10 %", () => {
    const { rollout, guards } = environmentOf(configuration, "production")
    expect(rollout.strategy).toBe("canary")
    expect(rollout.steps[0]?.weight).toBe(10)
    expect(guards).toMatchObject({
      timezone: "Europe/London",
      hours: { days: ["mon", "tue", "wed", "thu", "fri"] },
      approval: { required: true },
      checks: "required",
    })
    expect(environmentOf(configuration, "staging").guards).toMatchObject({
      holidays: [],
      freezes: [],
      checks: "none",
      signature: "none",
    })
    expect(environmentOf(configuration, "staging").guards.approval).toBeUndefined()
  })

  it("gives steps the time that the rules need to fire", () => {
    const longest = Math.max(...configuration.analysis.rules.map((rule) => rule.for))
    const { steps, postPromotion } = environmentOf(configuration, "production").rollout
    for (const seconds of [...steps.map((step) => step.for), postPromotion]) {
      expect(seconds).toBeGreaterThanOrEqual(longest)
    }
  })

  it("has both backends everywhere, each with its own database", () => {
    for (const name of ["staging", "production"]) {
      const found = backendSettings(configuration, environmentOf(configuration, name), [])
      expect(found.map(({ service }) => service)).toEqual(["api", "f1-backend"])
      const database = found.map(({ secrets }) => secrets.find(({ variable }) => variable === "DATABASE_URL"))
      const prefix = name.toUpperCase()
      expect(database.map((secret) => secret?.entry)).toEqual([
        `${prefix}_DATABASE_URL`,
        `${prefix}_F1_DATABASE_URL`,
      ])
    }
  })

  it("turns on the flags of a backend by a variable, those that are off by none", () => {
    const flags = (text: string) => {
      const found = over(`environments: { staging: { services: { api: { flags: ${text} } } } }`)
      return backendSettings(found, environmentOf(found, "staging"), ["api"])[0]?.variables.FLAGS
    }
    expect(flags("{}")).toBeUndefined()
    expect(flags("{ cachedLists: false }")).toBeUndefined()
    expect(flags("{ printing: true, cachedLists: true, sharing: false }")).toBe("cachedLists,printing")
    expect(() => flags("{ cachedLists: yes }")).toThrow(/api\.flags\.cachedLists: true or false/)
    expect(() => flags("{ cachedLists: true }, variables: { FLAGS: sharing }")).toThrow(
      /api\.flags: only without the variable FLAGS/,
    )
  })

  it("gives every service in every environment its own tokens, and the proxies that it may trust", () => {
    const variables = ["staging", "production"].flatMap((name) =>
      backendSettings(configuration, environmentOf(configuration, name), []).map(
        (settings) => settings.variables,
      ),
    )
    expect(variables).toHaveLength(4)
    for (const name of ["JWT_ISSUER", "JWT_AUDIENCE"]) {
      const values = variables.map((all) => all[name])
      expect(values.every(Boolean)).toBe(true)
      expect(new Set(values).size).toBe(4)
    }
    for (const { TRUSTED_PROXIES } of variables) expect(TRUSTED_PROXIES).toMatch(/^10\.\d+\.0\.0\/16$/)
  })

  it("mounts every claim read-only: pods that serve write to none", () => {
    const claims = Object.values(configuration.services).flatMap(({ workload }) =>
      workload.volumes.filter(({ claim }) => claim !== undefined),
    )
    expect(claims).toMatchObject([{ path: "/models", readOnly: true }])
  })

  it("has a key for the tokens of each environment", () => {
    expect(secretEntry("JWT_SECRET_KEY", "staging")).toBe("STAGING_JWT_SECRET_KEY")
  })
})

describe("backendSettings", () => {
  const configuration = readDeploy(shipped)
  const production = environmentOf(configuration, "production")

  it("are those that are asked for, with what is of this environment", () => {
    const [backend, ...others] = backendSettings(configuration, production, ["f1-backend"])
    expect(others).toEqual([])
    expect(backend).toMatchObject({
      hostnames: ["f1.example.com"],
      workload: { replicas: { min: 3, max: 10 }, network: { from: [{ namespace: "kube-system" }] } },
    })
  })

  it("names what there is, for a service or an environment that there is not", () => {
    expect(() => backendSettings(configuration, production, ["web"])).toThrow(
      "production has no service web; allowed: api, f1-backend",
    )
    expect(() => environmentOf(configuration, "prod")).toThrow("allowed: staging, production")
  })
})

describe("databaseSettings", () => {
  const recipes = "backup: { kind: postgres, bucket: backups, prefix: pitwall }"
  const of = (text: string, name = "staging") => {
    const configuration = over(text)
    return databaseSettings(configuration, environmentOf(configuration, name))
  }

  it("are none as it is shipped: an environment then behaves as without this", () => {
    const shippedAsIs = readDeploy(shipped)
    expect(databaseSettings(shippedAsIs, environmentOf(shippedAsIs, "production"))).toEqual([])
  })

  it("have what the service's pods have, and defaults", () => {
    const [database, ...others] = of(`services: { api: { database: { name: recipes, ${recipes} } } }`)
    expect(others).toEqual([])
    expect(database).toMatchObject({
      name: "recipes",
      service: "api",
      namespace: "f1-staging",
      copy: images.postgres,
      limits: { time: 14_400, memory: "512Mi", disk: "10Gi" },
      variables: { ENVIRONMENT: "staging", JWT_ISSUER: "api-staging" },
    })
    expect(database?.egress.at(-1)).toMatchObject({ ports: [{ port: 5432 }, { port: 6379 }] })
  })

  it("have a place for backups of their own in an environment", () => {
    const text = `
environments: { production: { services: { api: { backup: { kind: postgres, bucket: vault } } } } }
services: { api: { database: { name: recipes, ${recipes} } } }
`
    expect(of(text)[0]?.backup.bucket).toBe("backups")
    expect(of(text, "production")[0]?.backup).toEqual({
      kind: "postgres",
      bucket: "vault",
      keep: { days: 30, count: 7 },
    })
  })

  const database = (change: string) => `services:\n  api:\n    database: { ${change} }\n`
  it.each([
    [database(recipes), "settings.yaml:3: services.api.database.name:"],
    [database("name: recipes"), "settings.yaml:3: services.api.database.backup:"],
    [
      database("name: r, backup: { kind: postgres, bucket: backups, keep: { days: 0 } }"),
      "backup.keep.days: a number of days, from 1",
    ],
    [database(`name: f1-backend, ${recipes}`), "services.api.database.name: a name that no service has"],
    [database(`name: Recipes, ${recipes}`), "a lower-case name of at most 34 letters"],
    [database(`name: ${"a".repeat(35)}, ${recipes}`), "a lower-case name of at most 34 letters"],
    [database(`name: r, ${recipes}, size: 3`), "no such key: size; allowed: name, backup, copy, limits"],
    [database(`name: r, ${recipes}, copy: "a b"`), "an image of PostgreSQL, such as postgres:15-bookworm"],
    [database(`name: r, ${recipes}, limits: { time: 5s }`), "limits.time: from 1m to 24h"],
    [database(`name: r, ${recipes}, limits: { disk: 3 }`), "limits.disk: an amount of memory"],
    [
      database("name: r, backup: { kind: tape, bucket: backups }"),
      "backup.kind: the kind of backup; allowed: postgres, rds",
    ],
    [
      database("name: r, backup: { kind: rds, bucket: backups, region: eu-central-1, instance: a--b }"),
      "backup.instance: the name of a DB instance: lower-case letters, digits and single hyphens",
    ],
    [database("name: r, backup: { kind: postgres, bucket: B }"), "backup.bucket: the name of a bucket"],
    [
      database("name: r, backup: { kind: postgres, bucket: backups, prefix: /x/ }"),
      "backup.prefix: a path such as backups/pitwall",
    ],
    [
      database("name: r, backup: { kind: postgres, bucket: backups, endpoint: 'https://u:p@s3' }"),
      "backup.endpoint: an address such as https://s3.example.com, without a user and a password",
    ],
    [
      database("name: r, backup: { kind: postgres, bucket: backups, endpoint: s3.example.com }"),
      "backup.endpoint: an address such as",
    ],
    [
      `services: { api: { database: { name: r, ${recipes} } }, f1-backend: { database: { name: r, ${recipes} } } }`,
      "services.f1-backend.database.name: another name than that of the database of api",
    ],
    [
      `services: { api: { secrets: { DATABASE_URL: null }, database: { name: r, ${recipes} } } }`,
      "services.api.database: only for a service with the secret DATABASE_URL",
    ],
    [
      "environments: { staging: { services: { api: { backup: { kind: postgres, bucket: backups } } } } }",
      "environments.staging.services.api.backup: only for a service with a database",
    ],
  ])("cannot be %s", (text, message) => {
    expect(() => readDeploy(shipped, { file: "settings.yaml", text })).toThrow(message)
  })
})

describe("settings", () => {
  it("change what they name and nothing else", () => {
    const before = readDeploy(shipped)
    const after = over(`
environments: { production: { rollout: { postPromotion: 10s }, guards: { hours: null } } }
analysis: { rules: [{ metric: error-rate, above: 10, for: 5s }] }
`)
    expect(after.environments.production.rollout).toEqual({
      ...before.environments.production.rollout,
      postPromotion: 10,
    })
    expect(after.environments.production.guards.hours).toBeUndefined()
    expect(after.environments.production.guards.holidays).toHaveLength(11)
    expect(after.analysis).toMatchObject({ noDataTimeout: 600, rules: [{ metric: "error-rate", for: 5 }] })
    expect(after.environments.staging).toEqual(before.environments.staging)
  })

  it("are named with their own line where they are wrong", () => {
    expect(() => over("analysis:\n  noDataTimeout: soon\n")).toThrow(
      /^rehearsal.yaml:2: analysis.noDataTimeout: .*found "soon"/,
    )
    expect(() => over("environments:\n  staging:\n    services:\n      web: { hostnames: [a.b] }\n")).toThrow(
      "rehearsal.yaml:4: environments.staging.services.web: no such service; allowed: api, f1-backend",
    )
    expect(() => over("services: { api: { probe: null } }")).toThrow(/^rehearsal.yaml:1: services.api.probe/)
  })

  it.each([
    [
      "environments: { staging: { rollout: { unattended: 0s } } }",
      "rollout.unattended: at least 15s: a deploy that is alive may renew its lease that late",
    ],
    ["environments: { staging: { rollout: { unattended: 14s } } }", "rollout.unattended: at least 15s"],
    [
      "analysis: { comparison: { metric: p95, confidence: 98, points: 31 } }",
      "production.rollout.steps: a step of at least 310s, or fewer points or a shorter interval in analysis",
    ],
    [
      "environments: { staging: { rollout: { progressDeadline: 0s } } }",
      "rollout.progressDeadline: more than 0s",
    ],
    [
      `services: { ${"a".repeat(37)}: { secrets: {}, probe: [/] } }`,
      `services.${"a".repeat(37)}: a lower-case name of at most 36 letters`,
    ],
    ...["api-3", "api-12-baseline"].map((name) => [
      `services: { ${name}: { secrets: {}, probe: [/] } }`,
      `services.${name}: a name that no revision of another service can have, as api-3`,
    ]),
    [
      "services: { pitwall-watch: { secrets: {}, probe: [/] } }",
      "services.pitwall-watch: a name that does not begin with pitwall-",
    ],
    [
      `environments: { staging: { services: { api: { hostnames: [${"a.".repeat(126)}com] } } } }`,
      "staging.services.api.hostnames.0: a host name of at most 253 characters",
    ],
    [
      `environments: { staging: { namespace: ${"a".repeat(58)} } }`,
      "staging.namespace: at most 56 characters",
    ],
    [
      "environments: { staging: { gateway: { name: f1-production } } }",
      "production.gateway: another Gateway or section than that of staging",
    ],
    [
      "environments: { staging: { gateway: { name: public, class: null, port: null, section: one } }, production: { gateway: { name: public, class: null, port: null, section: one } } }",
      "production.gateway: another Gateway or section than that of staging",
    ],
    [
      "environments: { staging: { gateway: { section: one } } }",
      "staging.gateway.section: only without class",
    ],
    [
      "environments: { staging: { gateway: { class: null, port: null } } }",
      "staging.gateway.class: the class of the Gateway",
    ],
    [
      "environments: { staging: { gateway: { class: null, section: one } } }",
      "staging.gateway.port: only with class",
    ],
    [
      "environments: { staging: { namespace: f1-production } }",
      "production.namespace: another one than that of staging",
    ],
    [
      "environments: { staging: { services: { api: { hostnames: [a.example.com, f1.example.com] } } } }",
      "production.services.f1-backend.hostnames.0: f1.example.com overlaps with f1.example.com of staging",
    ],
    [
      'environments: { staging: { services: { api: { hostnames: ["*.example.com"] } } } }',
      "api.example.com overlaps with *.example.com of staging",
    ],
    [
      'environments: { production: { services: { api: { hostnames: ["*.staging.example.com"] } } } }',
      "*.staging.example.com overlaps with api.staging.example.com of staging",
    ],
  ])("cannot be %s", (text, message) => {
    expect(() => over(text)).toThrow(message)
  })

  it("may share a Gateway of an administrator by sections, and a domain without overlap", () => {
    const gateway = (section: string) =>
      `gateway: { name: public, class: null, port: null, section: ${section} }`
    const text = `environments: { staging: { ${gateway("one")} }, production: { ${gateway("two")}, services: { api: { hostnames: ["*.live.example.com"] } } } }`
    expect(environmentOf(over(text), "production").gateway.section).toBe("two")
  })

  it("say whose signatures count where they are required: the whole of an identity, or a key", () => {
    const guarded = (text: string) =>
      environmentOf(over(`environments: { production: { guards: { ${text} } } }`), "production").guards
    expect(() => guarded("signature: required")).toThrow(
      "rehearsal.yaml:1: environments.production.guards.signature: only with signatures: publicKey, or identity and issuer, say whose signatures count",
    )
    const identity = "https://github.com/owner/repository/.github/workflows/pipeline.yml@refs/heads/main"
    const issuer = "https://token.actions.githubusercontent.com"
    expect(
      guarded(`signature: required, signatures: { identity: "${identity}", issuer: "${issuer}" }`),
    ).toMatchObject({
      signature: "required",
      signatures: { identity, issuer },
    })
    const publicKey = generateKeyPairSync("ec", { namedCurve: "prime256v1" }).publicKey.export({
      type: "spki",
      format: "pem",
    })
    expect(guarded(`signatures: { publicKey: ${JSON.stringify(publicKey)} }`).signatures).toEqual({
      publicKey,
    })
  })

  it.each([
    `{ identity: "https://github.com/owner/repository/.github/workflows/pipeline.yml@refs/heads/main" }`,
    `{ identity: "^https://github.com/.*$", issuer: "https://token.actions.githubusercontent.com" }`,
    `{ identity: "https://github.com/owner", issuer: "http://token.actions.githubusercontent.com" }`,
    `{ publicKey: hush }`,
    `{}`,
  ])("refuse signatures by %s", (text) => {
    const read = () => over(`environments: { production: { guards: { signatures: ${text} } } }`)
    expect(read).toThrow(
      /environments\.production\.guards\.signatures.*publicKey \(of the curve P-256, as PEM\), or identity and issuer/,
    )
  })

  it("say which secrets there are", () => {
    expect(() => over("services: { api: { secrets: { API_KEY: {} } } }")).toThrow(
      "services.api.secrets.API_KEY: from names one of the pipeline's secrets; allowed: DATABASE_URL,",
    )
  })
})

describe("modelSettings", () => {
  const key = JSON.stringify("-----BEGIN PUBLIC KEY-----\nMFkw\n-----END PUBLIC KEY-----\n")
  const model = (
    change = `registry: { bucket: models, prefix: f1, endpoint: "http://s3:9000" }`,
    name = "f1-winners",
  ) => `services: { f1-backend: { model: { name: ${name}, publicKey: ${key}, ${change} } } }`

  it("are none as it is shipped, and then no pod hears of a registry", () => {
    const configuration = readDeploy(shipped)
    const staging = environmentOf(configuration, "staging")
    expect(modelSettings(configuration, staging)).toEqual([])
    expect(JSON.stringify(backendSettings(configuration, staging, []))).not.toContain("MODEL_REGISTRY")
  })

  it("give the pods that serve and those that train the same registry and key, and a way there", () => {
    const configuration = over(model())
    const staging = environmentOf(configuration, "staging")
    const variables = {
      MODEL_REGISTRY: "s3://models/f1",
      MODEL_REGISTRY_ENDPOINT: "http://s3:9000",
      MODEL_PUBLIC_KEY: "-----BEGIN PUBLIC KEY-----\nMFkw\n-----END PUBLIC KEY-----",
    }
    const [training] = modelSettings(configuration, staging)
    expect(training).toMatchObject({
      service: "f1-backend",
      limits: { time: 7_200, memory: "2Gi", disk: "1Gi" },
      variables: { ENVIRONMENT: "staging", JWT_ISSUER: "f1-staging", ...variables },
    })
    expect(training?.egress.at(-1)).toMatchObject({ ports: [{ port: 9000 }] })
    const [serving] = backendSettings(configuration, staging, ["f1-backend"])
    expect(serving?.variables).toMatchObject(variables)
    expect(backendSettings(configuration, staging, ["api"])[0]?.variables).not.toHaveProperty(
      "MODEL_REGISTRY",
    )
  })

  it.each([
    [model("registry: {}"), "services.f1-backend.model.registry.bucket:"],
    [model(undefined, "api"), "a name that no service, database or other model has"],
    [
      model(`registry: { bucket: models, endpoint: "ftp://s3" }`),
      "an address such as https://s3.example.com",
    ],
    [model().replace(key, "private"), "the public key that models are verified with"],
  ])("refuse %s", (text, message) => {
    expect(() => over(text)).toThrow(message)
  })
})
