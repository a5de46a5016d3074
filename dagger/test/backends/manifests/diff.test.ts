import { inspect } from "node:util"
import { describe, expect, it } from "vitest"
import { diffObject } from "../../../src/backends/manifests/diff.js"
import { changesText } from "../../../src/delivery/plan.js"
import { revisionObjects } from "../../../src/backends/manifests/objects.js"
import type { Manifest } from "../../../src/clients/kubernetes/manifest.js"
import { deploymentOf, full, release, the, workload } from "./fixtures.js"

const encode = (text: string) => Buffer.from(text).toString("base64")
const secretOf = (
  data: Record<string, string>,
  revision = 7,
): Manifest & { data: Record<string, string> } => ({
  apiVersion: "v1",
  kind: "Secret",
  metadata: { namespace: "f1-staging", name: `f1-backend-${revision}` },
  data: Object.fromEntries(Object.entries(data).map(([name, value]) => [name, encode(value)])),
})
const hidden = ["hunter2", encode("hunter2"), "correct horse", encode("correct horse")]

describe("difference", () => {
  it("says that an object is new", () => {
    expect(diffObject(undefined, deploymentOf())).toEqual({
      object: "Deployment f1-staging/f1-backend-7",
      kind: "created",
      fields: [],
    })
  })

  it("says which fields change, from what to what", () => {
    const changed = deploymentOf(
      {},
      full.replace("memory: 512Mi", "memory: 1Gi").replace("pullSecrets: [registry]", ""),
    )
    expect(diffObject(deploymentOf(), changed)).toEqual({
      object: "Deployment f1-staging/f1-backend-7",
      kind: "changed",
      fields: [
        'spec.template.spec.imagePullSecrets: [{"name":"registry"}] → (none)',
        "spec.template.spec.containers[0].resources.limits.memory: 512Mi → 1Gi",
      ],
    })
  })

  it("writes names with dots in brackets", () => {
    const { metadata, ...rest } = deploymentOf()
    const marked = {
      ...rest,
      metadata: { ...metadata, annotations: { ...metadata?.annotations, "pitwall.dev/outcome": "" } },
    }
    expect(diffObject({ ...rest, metadata: { ...metadata } }, marked).fields).toEqual([
      'metadata.annotations["pitwall.dev/outcome"]: (none) → ""',
    ])
  })

  it("leaves out what the server writes by itself", () => {
    const { metadata, ...rest } = deploymentOf()
    const live = {
      ...rest,
      metadata: {
        ...metadata,
        annotations: { ...metadata?.annotations, "deployment.kubernetes.io/revision": "1" },
        resourceVersion: "123",
        uid: "9f",
        generation: 4,
        creationTimestamp: new Date(),
        managedFields: [{ manager: "pitwall" }],
      },
      status: { readyReplicas: 2 },
    } as Manifest
    expect(diffObject(live, deploymentOf())).toMatchObject({ kind: "unchanged", fields: [] })
  })

  it("never shows what is in a Secret", () => {
    const live = secretOf({ same: "hunter2", other: "hunter2", gone: "hunter2" })
    const wanted = secretOf({ same: "hunter2", other: "correct horse", fresh: "correct horse" })
    const change = diffObject(live, wanted)
    expect(change.fields).toEqual(["data.other: changed", "data.gone: removed", "data.fresh: added"])
    const shown = [
      JSON.stringify(change),
      inspect(change, { showHidden: true, depth: null }),
      changesText([change]),
    ]
    for (const value of hidden) for (const text of shown) expect(text).not.toContain(value)
  })

  it("never shows a Secret that kubectl has written into an annotation", () => {
    const live = secretOf({ key: "hunter2" })
    const metadata = {
      ...live.metadata,
      annotations: { "kubectl.kubernetes.io/last-applied-configuration": JSON.stringify(live) },
    }
    expect(diffObject({ ...live, metadata }, secretOf({ key: "hunter2" })).kind).toBe("unchanged")
  })

  it("never shows a Secret that comes or goes as a whole", () => {
    const empty = { ...secretOf({}), data: undefined }
    expect(diffObject(empty, secretOf({ key: "hunter2" })).fields).toEqual(["data.key: added"])
    expect(diffObject(secretOf({ key: "hunter2" }), empty).fields).toEqual(["data.key: removed"])
  })

  it("takes stringData for the data that it becomes", () => {
    const wanted = the("Secret", revisionObjects(workload(full), release({ secrets: { key: "hunter2" } })))
    const { metadata, immutable, type } = wanted
    const live = { ...secretOf({ key: "hunter2" }), metadata, immutable, type }
    expect(diffObject(live, wanted)).toMatchObject({ kind: "unchanged" })
  })

  it("says what is new about a revision, without its number and what comes of that", () => {
    const next = `sha256:${"b2".repeat(32)}`
    const image = `ghcr.io/owner/f1-backend@${next}`
    const before = revisionObjects(workload(full), release())
    const wanted = revisionObjects(
      workload(full),
      release({
        revision: 8,
        version: "1.5.0",
        image,
        digest: next,
        secrets: { ...release().secrets, jwt_secret_key: "hunter2" },
      }),
    )
    const all = wanted.map((object, at) => diffObject(undefined, object, before[at]))
    expect(all.every(({ kind }) => kind === "created")).toBe(true)
    expect(all.flatMap(({ object, fields }) => fields.map((field) => `${object}: ${field}`))).toEqual([
      "Deployment f1-staging/f1-backend-8: " +
        `spec.template.metadata.labels["app.kubernetes.io/version"]: 1.4.0 → 1.5.0`,
      "Deployment f1-staging/f1-backend-8: " +
        `spec.template.metadata.annotations["pitwall.dev/digest"]: ${release().digest} → ${next}`,
      `Deployment f1-staging/f1-backend-8: spec.template.spec.containers[0].image: ${release().image} → ${image}`,
      "Secret f1-staging/f1-backend-8: data.jwt_secret_key: changed",
    ])
  })

  it("takes no address that the server allots for news of a revision", () => {
    const service = (revision: number, clusterIP: string, port: number) => ({
      apiVersion: "v1",
      kind: "Service",
      metadata: { namespace: "f1-staging", name: `f1-backend-${revision}` },
      spec: { clusterIP, clusterIPs: [clusterIP], ports: [{ port, nodePort: 30_000 + revision }] },
    })
    const [before, wanted] = [service(7, "10.43.0.7", 8000), service(8, "10.43.0.8", 8001)]
    expect(diffObject(undefined, wanted, before).fields).toEqual(["spec.ports[0].port: 8000 → 8001"])
  })
})

describe("describePlan", () => {
  it("is a list that people can read", () => {
    const wanted = deploymentOf({ replicas: 3 })
    const plan = [
      diffObject(undefined, secretOf({ key: "hunter2" }, 8)),
      diffObject(deploymentOf(), wanted),
      diffObject(wanted, wanted),
    ]
    expect(changesText(plan)).toBe(
      [
        "+ Secret f1-staging/f1-backend-8: created",
        "~ Deployment f1-staging/f1-backend-7: changed",
        "    spec.replicas: 2 → 3",
        "= Deployment f1-staging/f1-backend-7: unchanged",
        "1 created, 1 changed, 1 unchanged",
      ].join("\n"),
    )
  })
})
