import { dumpYaml, loadYaml } from "@kubernetes/client-node/dist/yaml.js"
import type { V1PodSpec } from "@kubernetes/client-node"
import { describe, expect, it } from "vitest"
import { parse, stringify } from "yaml"
import type { Plain } from "../../src/clients/kubernetes/manifest.js"
import {
  copyUrl,
  jobName,
  migrationArguments,
  migrationObjects,
  settingsDigest,
} from "../../src/databases/job.js"
import { settings } from "./fixtures.js"

const image = `registry.example.com/api@sha256:${"a".repeat(64)}`
const run = { id: "20260302-100000-abcd", mode: "migrate", image, allowBreaking: false } as const
const secrets = { database_url: "postgresql://u:hunter2@db/recipes", aws_credentials: "key = hunter3" }
const { job, networkPolicy, owned } = migrationObjects(settings(), run, secrets)
const [configMap, secret] = owned("uid-1")
const pod = (change: Partial<typeof run> | object = {}): Plain<V1PodSpec> => {
  const { spec } = migrationObjects(settings(), { ...run, ...change }, secrets).job.spec?.template ?? {}
  if (!spec) throw new Error("no pod")
  return spec
}
const args = (change: object = {}) => pod(change).containers[0]?.args ?? []

describe("the Job of a migration", () => {
  it.each([job, networkPolicy, configMap, secret].map((object) => [object.kind ?? "", object] as const))(
    "has a %s of which Kubernetes knows every field",
    (_, object) => {
      expect(parse(dumpYaml(loadYaml(stringify(object))))).toEqual(JSON.parse(JSON.stringify(object)))
    },
  )

  it("runs the command of the image that will serve, with a copy that listens inside of the pod only", () => {
    expect(args()).toEqual([
      ...[
        "database",
        "migrate",
        "--copy",
        "postgresql://postgres@127.0.0.1:5433/postgres",
        "--work",
        "/work",
      ],
      ...["--operation", expect.stringMatching(/^[0-9a-f]{16}$/) as string],
      ...["--backup", "s3://backups/pitwall/staging/recipes"],
      ...["--new-application", "http://127.0.0.1:8101"],
    ])
    const { containers, initContainers = [] } = pod()
    expect(containers.map((one) => one.image)).toEqual([image])
    expect(containers[0]?.command).toBeUndefined()
    const [copy, ...others] = initContainers
    expect(others.map((one) => [one.name, one.image])).toEqual([["new", image]])
    expect(copy).toMatchObject({ name: "copy", image: "postgres:15-bookworm", restartPolicy: "Always" })
    expect(copy?.command?.join("\n")).toContain("listen_addresses=127.0.0.1 -c port=5433")
  })

  it("has code serve beside it that has to work before and after, where migrations run", () => {
    const applications = [{ revision: 3, image: image.replace(/a{64}/, "b".repeat(64)), configMap: "api-3" }]
    for (const mode of ["migrate", "plan"]) {
      const containers = pod({ mode, applications }).initContainers ?? []
      expect(containers.map(({ name }) => name)).toEqual(["copy", "new", "revision-3"])
      expect(args({ mode, applications })).toContain("revision-3=http://127.0.0.1:8102")
    }
    const restore = { point: { backup: "2026-03-02T10-00-00Z-0a1b2c" }, operation: "x" }
    const back = { mode: "revert", back: { to: "0001", needed: [], loseData: false } }
    const others = [{ mode: "verify" }, { mode: "backup" }, { mode: "drift" }, back]
    for (const change of [...others, { mode: "restore", restore }, { mode: "plan", restore }]) {
      expect(pod(change).initContainers).toHaveLength(1)
      expect(args(change).join(" ")).not.toContain("-application")
    }
  })

  it("makes no backup for a plan, and breaks older code only where that is allowed", () => {
    expect(args({ mode: "plan" })).toContain("--plan-only")
    expect(args({ mode: "plan" })).not.toContain("--backup")
    expect(args()).not.toContain("--allow-breaking")
    expect(args({ allowBreaking: true })).toContain("--allow-breaking")
  })

  it("verifies the newest backup, or the one that is named, and migrates nothing", () => {
    const places = ["--copy", copyUrl, "--work", "/work", "--backup", "s3://backups/pitwall/staging/recipes"]
    expect(args({ mode: "verify" })).toEqual(["database", "verify", ...places])
    const backup = "2026-03-02T10-00-00Z-0a1b2c"
    expect(args({ mode: "verify", backup })).toEqual(["database", "verify", ...places, "--id", backup])
  })

  it("names the operation by the image, so that a rerun uses the backup of an interrupted run", () => {
    const operation = (change: object) => args(change)[args(change).indexOf("--operation") + 1]
    expect(operation({ id: "20260302-110000-efgh", allowBreaking: true })).toBe(operation({}))
    expect(operation({ image: image.replace("a".repeat(64), "b".repeat(64)) })).not.toBe(operation({}))
  })

  it("has arguments that the admission policy admits", () => {
    const { words, pattern } = migrationArguments(settings())
    const backup = "2026-03-02T10-00-00Z-0a1b2c"
    const verify = { mode: "verify", backup }
    const beside = { applications: [{ revision: 12, image, configMap: "api-12" }] }
    const ofSnapshots = [
      ...[{ mode: "before" }, { mode: "after", backup }, { mode: "compare", backup }, { mode: "prune" }],
    ]
    const others = [{ mode: "plan" }, { allowBreaking: true }, { mode: "verify" }, verify]
    for (const change of [{}, beside, ...others, ...ofSnapshots])
      for (const word of args(change))
        expect(words.includes(word) || new RegExp(pattern).test(word)).toBe(true)
  })

  it("keeps secrets in its Secret, which goes with it", () => {
    const all = [job, networkPolicy, configMap].map((object) => JSON.stringify(object)).join("\n")
    expect(all).not.toMatch(/hunter/)
    expect(secret).toMatchObject({ immutable: true, stringData: secrets })
    for (const { metadata } of [configMap, secret]) {
      expect(metadata?.ownerReferences).toEqual([
        { apiVersion: "batch/v1", kind: "Job", name: jobName(settings(), run), uid: "uid-1" },
      ])
    }
    expect(settingsDigest(settings(), image, ["database_url"])).toBe(
      settingsDigest(settings(), image, ["database_url"]),
    )
  })

  it("has the least rights", () => {
    const {
      automountServiceAccountToken,
      serviceAccountName,
      securityContext,
      containers,
      initContainers = [],
    } = pod()
    expect(automountServiceAccountToken).toBe(false)
    expect(serviceAccountName).toBe("pitwall-database-recipes")
    expect(securityContext).toMatchObject({ runAsNonRoot: true, seccompProfile: { type: "RuntimeDefault" } })
    for (const { name, securityContext: own, resources } of [...containers, ...initContainers]) {
      expect(own).toMatchObject({
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ["ALL"] },
      })
      expect(resources?.limits?.memory).toBe(name === "new" ? "384Mi" : "512Mi")
    }
    // The copy has neither the secrets nor the dump.
    expect(initContainers[0]?.volumeMounts).toEqual([{ name: "copy", mountPath: "/copy" }])
    expect(initContainers[0]?.envFrom).toBeUndefined()
  })

  it("lets nobody in, and itself out to the service's stores and the backups only", () => {
    expect(job.spec?.template.metadata?.labels).toMatchObject({ "pitwall.dev/database": "recipes" })
    const to = [{ ports: [{ protocol: "TCP", port: 5432 }] }]
    const policy = migrationObjects(settings({ egress: to }), run, {}).networkPolicy
    expect(policy.spec).toMatchObject({
      podSelector: { matchLabels: { "pitwall.dev/database": "recipes" } },
      policyTypes: ["Ingress", "Egress"],
      ingress: [],
      egress: [...to, { ports: [{ protocol: "TCP", port: 9000 }] }],
    })
    const amazon = { ...settings().backup }
    delete amazon.endpoint
    expect(
      migrationObjects(settings({ backup: amazon }), run, {}).networkPolicy.spec?.egress?.at(-1),
    ).toEqual({
      ports: [{ protocol: "TCP", port: 443 }],
    })
  })

  it("goes on in a new pod after a lost node, and ends with the command's own verdict", () => {
    expect(job.spec).toMatchObject({
      parallelism: 1,
      podReplacementPolicy: "Failed",
      activeDeadlineSeconds: 3600,
      podFailurePolicy: {
        rules: [
          { action: "Ignore", onPodConditions: [{ type: "DisruptionTarget", status: "True" }] },
          { action: "FailJob", onExitCodes: { containerName: "migrate", operator: "In", values: [1, 2] } },
        ],
      },
    })
    expect(pod().restartPolicy).toBe("Never")
  })

  it("has names that Kubernetes takes, for the longest name of a database", () => {
    const longest = "a".repeat(34)
    expect(jobName({ name: longest }, run)).toHaveLength(63)
  })

  it("digests what runs, and not when", () => {
    const digest = settingsDigest(settings(), image, [])
    expect(digest).toMatch(/^sha256:[0-9a-f]{64}$/)
    expect(
      settingsDigest(
        settings({ backup: { kind: "postgres", bucket: "evil", keep: { days: 30, count: 7 } } }),
        image,
        [],
      ),
    ).not.toBe(digest)
    expect(settingsDigest(settings(), image, ["database_url"])).not.toBe(digest)
  })

  it("is not made of an image without a digest", () => {
    expect(() => migrationObjects(settings(), { ...run, image: "api:latest" }, {})).toThrow("has no digest")
  })
})
