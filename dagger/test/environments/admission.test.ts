// The policies as text. That an API server reads them so, and what it refuses, is what access.e2e.test.ts tries.
import type { V1ValidatingAdmissionPolicy } from "@kubernetes/client-node"
import { describe, expect, it } from "vitest"
import type { Plain } from "../../src/clients/kubernetes/manifest.js"
import type { ModelSettings } from "../../src/models/settings.js"
import { applicationVariables } from "../../src/databases/applications.js"
import { copyCommand, copyProbe, migrationArguments, migrationVariables } from "../../src/databases/job.js"
import { type AdmissionSettings, admissionObjects } from "../../src/environments/admission.js"
import { pointerObjects, pointerPattern, pointerWords } from "../../src/models/job.js"
import { settings as database } from "../databases/fixtures.js"

const settings: AdmissionSettings = {
  namespace: "f1-staging",
  services: ["api"],
  hostnames: ["api.example.com"],
  gateway: { name: "public", namespace: "router" },
  approval: true,
  watchdog: "pass",
}
const policies = (databases?: AdmissionSettings["databases"]) =>
  admissionObjects({ ...settings, ...(databases && { databases }) }).filter(
    ({ kind }) => kind === "ValidatingAdmissionPolicy",
  ) as Plain<V1ValidatingAdmissionPolicy>[]
const policy = (name: string, databases?: AdmissionSettings["databases"]) => {
  const found = policies(databases).find(({ metadata }) => metadata?.name === `pitwall-f1-staging-${name}`)
  if (!found?.spec) throw new Error(`no policy ${name}`)
  return found.spec
}
const variable = (name: string, of: string, databases?: AdmissionSettings["databases"]) =>
  policy(name, databases).variables?.find((one) => one.name === of)?.expression

describe("the policies of an environment without databases", () => {
  it("know no migration", () => {
    expect(variable("images", "migration")).toBe("false")
    expect(variable("workloads", "migration")).toBe("false")
    const text = JSON.stringify(policies())
    for (const word of ["pitwall-database", "postgres", "BACKUP_S3_ENDPOINT"])
      expect(text).not.toContain(word)
  })
})

describe("the policies of an environment with a database", () => {
  const recipes = database({ namespace: "f1-staging" })
  const shapes = policy("workloads", [recipes]).validations?.filter(({ message }) =>
    message?.includes("runs the migrations of recipes and nothing else"),
  )

  it("bind the account of the database to the Job that Pitwall writes", () => {
    expect(variable("workloads", "migration", [recipes])).toBe(
      'variables.account in ["pitwall-database-recipes"]',
    )
    expect(shapes).toHaveLength(1)
    const expression = shapes?.[0]?.expression ?? ""
    for (const part of [
      JSON.stringify(copyCommand),
      JSON.stringify(copyProbe),
      JSON.stringify(migrationVariables(recipes)),
      JSON.stringify(migrationArguments(recipes).words),
      JSON.stringify(applicationVariables(5433)),
      'container.name.matches("^(new|revision-[0-9]{1,9})$")',
      'mount.mountPath == "/tmp" && mount.name == "serving"',
      'container.image == "postgres:15-bookworm"',
    ]) {
      expect(expression).toContain(part)
    }
  })

  it("admit the copy's image in a migration only, and a migration by a standing approval only", () => {
    expect(variable("images", "images", [recipes])).toContain(
      '!(variables.migration && ((variables.account == "pitwall-database-recipes" && container.name == "copy" && container.image == "postgres:15-bookworm")))',
    )
    expect(variable("images", "migration", [recipes])).toMatch(
      /^\(object\.kind == "Job" \|\| \(object\.kind == "Pod" && variables\.automatic\)\) && /,
    )
    expect(variable("images", "accompanies", [recipes])).toMatch(
      /^\(object\.kind == "Job" && \(!variables\.migration \|\| \(variables\.spec\.containers\.all\(container, .* in \["backup", "verify", "drift", "observe", "compare", "prune"\]/,
    )
  })

  it("take the approval of code that a migration is compared with for as long as that is kept", () => {
    const rules = policy("images", [recipes]).validations ?? []
    const [approved] = rules.filter(({ message }) => message === "nobody has approved this image")
    const [expired] = rules.filter(({ message }) => message === "the approval of this image has expired")
    expect(approved?.expression).toContain("variables.digests.all(")
    expect(expired?.expression).toContain("variables.beginning.all(")
    expect(variable("images", "beginning", [recipes])).toContain(
      '!(variables.migration && container.name.matches("^revision-[0-9]{1,9}$"))',
    )
  })

  it("are another for another place of backups", () => {
    const other = database({ backup: { kind: "postgres", bucket: "other", keep: { days: 30, count: 7 } } })
    expect(JSON.stringify(policy("workloads", [other]))).not.toBe(
      JSON.stringify(policy("workloads", [recipes])),
    )
  })

  it("let nobody redirect backups by a ConfigMap", () => {
    const rules = policy("variables", [recipes]).validations?.map(({ expression }) => expression) ?? []
    const pattern = /matches\("(\^\(AWS_ENDPOINT.*?)"\)/.exec(rules.at(-1) ?? "")?.[1] ?? "nothing"
    for (const name of ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_CONFIG_FILE", "BACKUP_S3_ENDPOINT"])
      expect(name).toMatch(new RegExp(pattern))
    expect("AWS_REGION").not.toMatch(new RegExp(pattern))
  })
})

describe("the policies of an environment with a model", () => {
  const winners: ModelSettings = {
    name: "f1-winners",
    service: "f1-backend",
    environment: "staging",
    namespace: "f1-staging",
    registry: { bucket: "models", prefix: "f1", endpoint: "https://s3.example.com" },
    publicKey: "-----BEGIN PUBLIC KEY-----\nMFkw\n-----END PUBLIC KEY-----",
    limits: { time: 7200, memory: "2Gi", disk: "1Gi" },
    promotion: { timeout: 300, watch: 60, shadow: true },
    variables: {},
    egress: [],
    pullSecrets: [],
  }
  const found = admissionObjects({ ...settings, models: [winners] }).filter(
    ({ kind }) => kind === "ValidatingAdmissionPolicy",
  ) as Plain<V1ValidatingAdmissionPolicy>[]
  const of = (name: string) =>
    found.find(({ metadata }) => metadata?.name === `pitwall-f1-staging-${name}`)?.spec?.validations ?? []

  it("bind the account of the model to the Job that Pitwall writes", () => {
    const [shape] = of("workloads").filter(({ message }) =>
      message?.includes("trains and promotes the model f1-winners"),
    )
    for (const part of [
      'variables.account != "pitwall-model-f1-winners"',
      'container.args == ["registry","train"] || container.args == ["registry","train","--force"]',
      'container.args[0] == "registry" && container.args[1] in ["examine","shadow","point"]',
      "!has(container.command)",
      "!has(container.env)",
      "!has(variables.spec.initContainers)",
    ])
      expect(shape?.expression).toContain(part)
    const digest = "ab".repeat(32)
    const words = [pointerWords, pointerPattern].map((one) => JSON.stringify(one)).join(" || word.matches(")
    expect(shape?.expression).toContain(`word in ${words})`)
    const steps = [
      { kind: "examine", model: "challenger" },
      { kind: "examine", model: digest },
      { kind: "shadow", model: digest, champion: undefined },
      { kind: "point", model: digest, champion: digest, previous: undefined },
    ] as const
    for (const step of steps) {
      const run = { id: "20261126-101500-x7k2", part: "p0", image: `api@sha256:${digest}`, step }
      const { job } = pointerObjects(winners, run, {})
      for (const word of job.spec?.template.spec?.containers[0]?.args ?? [])
        expect(pointerWords.includes(word) || new RegExp(pointerPattern).test(word), word).toBe(true)
    }
    expect(of("workloads").map(({ message }) => message)).toContain(
      "the only Jobs are watchdogs and trainings, and only they run as pitwall-watch, pitwall-model-f1-winners",
    )
  })

  it("keep the registry and the key to those of the configuration", () => {
    const [rule] = of("variables").filter(({ message }) => message?.includes("the key that verifies them"))
    expect(rule?.expression).toContain(
      '(!("MODEL_REGISTRY" in object.data) || object.data["MODEL_REGISTRY"] in ["s3://models/f1"])',
    )
    expect(rule?.expression).toContain('object.data["MODEL_REGISTRY_REGION"] in []')
    expect(rule?.expression).toContain(
      `object.data["MODEL_PUBLIC_KEY"] in [${JSON.stringify(winners.publicKey)}]`,
    )
  })
})
