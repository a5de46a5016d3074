import type { V1PodSpec } from "@kubernetes/client-node"
// Not by the package's name, which loads an HTTP client that older Node.js cannot.
import { dumpYaml, loadYaml } from "@kubernetes/client-node/dist/yaml.js"
import { describe, expect, it } from "vitest"
import { parse, stringify } from "yaml"
import { diffObject } from "../../../src/backends/manifests/diff.js"
import {
  baselineObjects,
  withRevisionOwner,
  revisionObjects,
  routeObject,
  stableService,
} from "../../../src/backends/manifests/objects.js"
import type { Manifest } from "../../../src/clients/kubernetes/manifest.js"
import { deploymentOf, full, needed, release, the, workload } from "./fixtures.js"

const objects = revisionObjects(workload(full), release())
const deployment = the("Deployment", objects)
const pod = deployment.spec?.template.spec
const container = pod?.containers[0]
const gateway = { name: "public", namespace: "router" }
const stable = stableService({ namespace: "f1-staging", service: "f1-backend", revision: 7, port: 8000 })

/** What of Kubernetes chooses pods by, wherever it stands in an object. */
const selectors = (text: string): Record<string, string>[] => {
  const found: Record<string, string>[] = []
  JSON.parse(text, (key, value: unknown) => {
    if (["matchLabels", "selector"].includes(key) && !JSON.stringify(value).includes("matchLabels")) {
      found.push(value as Record<string, string>)
    }
    return value
  })
  return found
}
const chosen = (selector: Record<string, string>, { spec }: typeof deployment) =>
  Object.entries(selector).every(([name, value]) => spec?.template.metadata?.labels?.[name] === value)

describe("revisionObjects", () => {
  it("gives a revision objects of its own, and what it shares with the others", () => {
    expect(
      objects.map(
        ({ kind = "", metadata }) => `${kind} ${metadata?.namespace ?? ""}/${metadata?.name ?? ""}`,
      ),
    ).toEqual([
      "ServiceAccount f1-staging/f1-backend",
      "NetworkPolicy f1-staging/f1-backend",
      "Deployment f1-staging/f1-backend-7",
      "ConfigMap f1-staging/f1-backend-7",
      "Secret f1-staging/f1-backend-7",
      "Service f1-staging/f1-backend-7",
      "PodDisruptionBudget f1-staging/f1-backend-7",
      "HorizontalPodAutoscaler f1-staging/f1-backend-7",
    ])
  })

  it.each([...objects, stable].map((object) => [object.kind ?? "", object]))(
    "knows of %s what Kubernetes knows, and nothing else",
    (_, object) => {
      // Kubernetes' own models, as the client has them: they drop what is no field of theirs.
      const read = parse(dumpYaml(loadYaml(stringify(object)))) as unknown
      expect(read).toEqual(JSON.parse(JSON.stringify(object)))
    },
  )

  it("labels everything as Kubernetes recommends", () => {
    for (const { metadata } of [...objects, stable]) {
      expect(metadata?.labels).toMatchObject({
        "app.kubernetes.io/name": "f1-backend",
        "app.kubernetes.io/component": "backend",
        "app.kubernetes.io/part-of": "f1-prediction-analytics",
        "app.kubernetes.io/managed-by": "pitwall",
      })
    }
    expect(deployment.metadata?.labels).toMatchObject({
      "app.kubernetes.io/instance": "f1-backend-7",
      "app.kubernetes.io/version": "1.4.0",
      "pitwall.dev/revision": "7",
    })
    expect(deploymentOf({ version: "1.4.0+g12ab" }).metadata?.labels?.["app.kubernetes.io/version"]).toBe(
      "1.4.0_g12ab",
    )
  })

  it("writes on a revision what it is made from", () => {
    expect(deployment.metadata?.annotations).toEqual({
      "pitwall.dev/digest": release().digest,
      "pitwall.dev/environment": "staging",
      "pitwall.dev/schema-head": "0012",
      "pitwall.dev/schema-breaking": "0009,0011",
    })
    const bare = deploymentOf({ schema: undefined }).metadata?.annotations
    expect(Object.keys(bare ?? {})).toEqual(["pitwall.dev/digest", "pitwall.dev/environment"])
  })

  it("runs nothing as root, and lets nothing become it", () => {
    expect(pod?.securityContext).toMatchObject({
      runAsNonRoot: true,
      runAsUser: 10001,
      fsGroup: 10001,
      seccompProfile: { type: "RuntimeDefault" },
    })
    expect(pod?.containers).toHaveLength(1)
    expect(container?.securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ["ALL"] },
    })
    expect(pod?.automountServiceAccountToken).toBe(false)
    expect(objects.find(({ kind }) => kind === "ServiceAccount")).toMatchObject({
      automountServiceAccountToken: false,
    })
    for (const shared of ["hostNetwork", "hostPID", "hostIPC"]) expect(pod).not.toHaveProperty(shared)
    expect(pod?.volumes?.filter(({ hostPath }) => hostPath)).toEqual([])
  })

  it("has a secret in the Secret and nowhere else", () => {
    for (const value of Object.values(release().secrets)) {
      const holding = objects.filter((object) => JSON.stringify(object).includes(value))
      expect(holding.map(({ kind }) => kind)).toEqual(["Secret"])
    }
    expect(the("Secret", objects).stringData).toEqual(release().secrets)
  })

  it("mounts the secrets as files that its user alone can read", () => {
    const mount = container?.volumeMounts?.find(({ mountPath }) => mountPath === "/run/secrets")
    const volume = pod?.volumes?.find(({ name }) => name === mount?.name)
    expect(mount?.readOnly).toBe(true)
    expect(volume?.secret).toEqual({ secretName: "f1-backend-7", defaultMode: 0o440 })
  })

  it("tells the service its settings, the environment's own over the workload's", () => {
    const { data, immutable } = the(
      "ConfigMap",
      revisionObjects(workload(full), release({ config: { WORKER_THREADS: "40" } })),
    )
    expect(immutable).toBe(true)
    expect(the("Secret", objects).immutable).toBe(true)
    expect(data).toEqual({
      ENVIRONMENT: "staging",
      REDIS_URL: "redis://redis:6379/0",
      WORKER_THREADS: "40",
      PORT: "8000",
      DRAIN_SECONDS: "6",
      KEEP_ALIVE_LINGER_SECONDS: "3",
      SHUTDOWN_GRACE_SECONDS: "10",
    })
    expect(container?.envFrom).toEqual([{ configMapRef: { name: "f1-backend-7" } }])
    const rehearsal = revisionObjects(
      workload(full),
      release({ environment: "rehearsal", config: { ENVIRONMENT: "staging" } }),
    )
    expect(the("ConfigMap", rehearsal).data?.ENVIRONMENT).toBe("staging")
  })

  it("lets a pod finish: first nobody sends, then it drains, then it has time left", () => {
    expect(container?.lifecycle).toEqual({ preStop: { sleep: { seconds: 4 } } })
    expect(pod?.terminationGracePeriodSeconds).toBe(30)
    expect(deployment.spec?.strategy).toEqual({
      type: "RollingUpdate",
      rollingUpdate: { maxUnavailable: 0, maxSurge: 1 },
    })
    const none = deploymentOf({}, full.replace("preStop: 4s", "preStop: 0s"))
    expect(none.spec?.template.spec?.containers[0]).not.toHaveProperty("lifecycle")
  })

  it("probes, measures and writes where the images do", () => {
    expect(container?.ports?.[0]).toMatchObject({ name: "http", containerPort: 8000 })
    expect(container?.startupProbe?.httpGet).toEqual({ path: "/health/live", port: "http" })
    expect(container?.livenessProbe?.httpGet?.path).toBe("/health/live")
    expect(container?.readinessProbe?.httpGet?.path).toBe("/health/ready")
    expect(deployment.spec?.template.metadata?.annotations).toMatchObject({
      "prometheus.io/scrape": "true",
      "prometheus.io/port": "8000",
      "prometheus.io/path": "/metrics",
    })
    const named = (path: string) => {
      const mount = container?.volumeMounts?.find(({ mountPath }) => mountPath === path)
      return pod?.volumes?.find(({ name }) => name === mount?.name)
    }
    expect(named("/tmp")?.emptyDir).toEqual({ sizeLimit: "64Mi" })
    expect(named("/scratch")?.emptyDir).toEqual({ sizeLimit: "1Gi" })
    expect(named("/models")?.persistentVolumeClaim).toEqual({ claimName: "f1-models" })
    const unwritable = container?.volumeMounts?.filter(({ readOnly }) => readOnly)
    expect(unwritable?.map(({ mountPath }) => mountPath)).toEqual(["/run/secrets", "/models"])
  })

  it("spreads pods where it can, and starts them where it cannot", () => {
    const spread = pod?.topologySpreadConstraints?.map((rule) => [rule.topologyKey, rule.whenUnsatisfiable])
    expect(spread).toEqual([
      ["kubernetes.io/hostname", "ScheduleAnyway"],
      ["topology.kubernetes.io/zone", "ScheduleAnyway"],
    ])
    expect(deployment.spec?.minReadySeconds).toBe(5)
    // Variables of other Services would stand beside those that are configured.
    expect(pod?.enableServiceLinks).toBe(false)
  })

  it("gives up one pod at a time, and broken ones at once", () => {
    expect(objects.find(({ kind }) => kind === "PodDisruptionBudget")).toMatchObject({
      spec: { maxUnavailable: 1, unhealthyPodEvictionPolicy: "AlwaysAllow" },
    })
  })

  it("begins with as many pods as it is told", () => {
    expect(deployment.spec?.replicas).toBe(2)
    expect(deploymentOf({ replicas: 5 }).spec?.replicas).toBe(5)
    expect(deploymentOf({ replicas: 0 }).spec?.replicas).toBe(0)
  })

  it("has the rollout's deadline", () => {
    expect(deployment.spec?.progressDeadlineSeconds).toBe(600)
    expect(deploymentOf({ progressDeadline: 30 }).spec?.progressDeadlineSeconds).toBe(30)
  })

  it("scales its own pods, between the bounds", () => {
    expect(objects.find(({ kind }) => kind === "HorizontalPodAutoscaler")).toMatchObject({
      spec: {
        scaleTargetRef: { kind: "Deployment", name: "f1-backend-7" },
        minReplicas: 2,
        maxReplicas: 6,
        metrics: [{ resource: { name: "cpu", target: { type: "Utilization", averageUtilization: 60 } } }],
      },
    })
  })

  it("lets in the namespace and whom the configuration names, and lets out what it lists", () => {
    const policy = the("NetworkPolicy", objects).spec
    expect(policy?.policyTypes).toEqual(["Ingress", "Egress"])
    expect(policy?.ingress).toEqual([
      {
        from: [
          { podSelector: {} },
          { namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "router" } } },
          { ipBlock: { cidr: "10.0.0.0/28" } },
        ],
        ports: [{ protocol: "TCP", port: 8000 }],
      },
    ])
    expect(policy?.egress).toEqual([
      {
        ports: [
          { protocol: "UDP", port: 53 },
          { protocol: "TCP", port: 53 },
        ],
      },
      { to: [{ ipBlock: { cidr: "10.1.0.0/16" } }], ports: [{ protocol: "TCP", port: 5432 }] },
      {
        to: [
          {
            namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "stores" } },
            podSelector: { matchLabels: { app: "redis" } },
          },
        ],
        ports: [{ protocol: "TCP", port: 6379 }],
      },
    ])
    const closed = the("NetworkPolicy", revisionObjects(workload(needed), release())).spec
    expect(closed?.ingress?.[0]?.from).toEqual([{ podSelector: {} }])
    expect(closed?.egress).toHaveLength(1)
  })

  it("chooses its own pods, and never those of another revision or service", () => {
    const own = selectors(JSON.stringify(objects.filter(({ kind }) => kind !== "NetworkPolicy")))
    // Deployment, two spreads, Service, PodDisruptionBudget.
    expect(own).toHaveLength(5)
    const others = [
      deploymentOf({ revision: 8 }),
      deploymentOf({ revision: 77 }),
      deploymentOf({ revision: 7, service: "api" }),
    ]
    for (const selector of [...own, ...selectors(JSON.stringify(stable))]) {
      expect(chosen(selector, deployment)).toBe(true)
      for (const other of others) expect(chosen(selector, other)).toBe(false)
    }
    const covered = the("NetworkPolicy", objects).spec?.podSelector?.matchLabels ?? {}
    expect(chosen(covered, deployment)).toBe(true)
    expect(chosen(covered, deploymentOf({ revision: 8 }))).toBe(true)
    expect(chosen(covered, deploymentOf({ service: "api" }))).toBe(false)
  })

  it.each([
    ["a variable", release({ config: { LOG_LEVEL: "INFO" } }), ["ConfigMap"]],
    [
      "a secret",
      release({ secrets: { ...release().secrets, jwt_secret_key: "another-signing-key" } }),
      ["Secret"],
    ],
    ["the number of pods", release({ replicas: 4 }), ["Deployment"]],
  ])("changes nothing else with %s", (_, changed, kinds) => {
    const others = revisionObjects(workload(full), changed)
    const different = objects.filter((object, at) => JSON.stringify(object) !== JSON.stringify(others[at]))
    expect(different.map(({ kind }) => kind)).toEqual(kinds)
  })

  it("changes of the pods only what a drain touches", () => {
    const [before, after] = [deployment, deploymentOf({}, full.replace("preStop: 4s", "preStop: 5s"))]
    expect(diffObject(before, after).fields).toEqual([
      "spec.template.spec.containers[0].lifecycle.preStop.sleep.seconds: 4 → 5",
    ])
  })

  it("can pull from a registry that asks who one is", () => {
    const secrets = (yaml: string): V1PodSpec["imagePullSecrets"] =>
      deploymentOf({}, yaml).spec?.template.spec?.imagePullSecrets
    expect(secrets(full)).toEqual([{ name: "registry" }])
    expect(secrets(needed)).toBeUndefined()
  })

  it.each([
    ["a tag", { image: "ghcr.io/owner/f1-backend:1.4.0" }, "image: an image @sha256:"],
    ["another digest", { image: `x@sha256:${"b2".repeat(32)}` }, "image: an image @sha256:"],
    [
      "half a digest",
      { digest: "sha256:a1", image: "x@sha256:a1" },
      "digest: sha256: and 64 hexadecimal digits",
    ],
    ["revision 0", { revision: 0 }, "revision: a number from 1 on (found 0)"],
    ["a service that is no host name", { service: "F1_backend" }, 'found "F1_backend"'],
    ["a long name", { service: "f".repeat(62) }, "with its revision at most 63"],
    ["a namespace that is none", { namespace: "F1" }, "namespace: at most 63 lower-case letters"],
    [
      "a version that is no label",
      { version: "1.4 beta" },
      "version: at most 63 letters, digits, dots, hyphens and _",
    ],
    ["half a pod", { replicas: 0.5 }, "replicas: a number from 0 on (found 0.5)"],
    [
      "a deadline before ready counts",
      { progressDeadline: 5 },
      "progressDeadline: more seconds than minReady, 5 (found 5)",
    ],
    [
      "a variable with another home",
      { config: { PORT: "1" } },
      'config: port of the workload says that (found "PORT")',
    ],
    ["a variable in lower case", { config: { port: "1" } }, "config: names of capital letters, digits and _"],
    [
      "a secret that no setting reads",
      { secrets: { "../x": "1" } },
      "secrets: file names of lower-case letters, digits and _",
    ],
    [
      "a secret that is a variable too",
      { secrets: { redis_url: "redis://:pw@r" } },
      "these are secrets, and variables too: redis_url",
    ],
  ])("refuses %s", (_, change, message) => {
    expect(() => revisionObjects(workload(full), release(change))).toThrow(message)
  })

  it("never shows a secret in what it refuses", () => {
    const secrets = { "Bad Name": "hunter2-hunter2", redis_url: "hunter2-hunter2" }
    const attempt = (names: string[]) => () => {
      const picked = Object.fromEntries(names.map((name) => [name, secrets[name as keyof typeof secrets]]))
      return revisionObjects(workload(full), release({ secrets: picked }))
    }
    for (const names of [["Bad Name"], ["redis_url"]]) {
      expect(attempt(names)).toThrow(names[0])
      expect(attempt(names)).not.toThrow(/hunter2/)
    }
  })
})

describe("baselineObjects", () => {
  const affine = structuredClone(deployment)
  Object.assign(affine.spec?.template.spec ?? {}, {
    affinity: {
      podAntiAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: [
          {
            topologyKey: "kubernetes.io/hostname",
            labelSelector: { matchLabels: affine.spec?.selector.matchLabels },
          },
        ],
      },
    },
  })
  const baseline = { namespace: "f1-staging", service: "f1-backend", revision: 8, port: 8000, replicas: 3 }
  const made = baselineObjects(affine, baseline)
  const [fresh, address] = made
  const candidate = deploymentOf({ revision: 8 })

  it("runs what the stable revision runs, with its configuration, as often as it is told", () => {
    expect(fresh.metadata?.name).toBe("f1-backend-8-baseline")
    expect(fresh.spec?.replicas).toBe(3)
    const running = ({ spec }: typeof fresh) => {
      const { containers, volumes, serviceAccountName, securityContext } = spec?.template.spec ?? {}
      return { containers, volumes, serviceAccountName, securityContext, ready: spec?.minReadySeconds }
    }
    expect(running(fresh)).toEqual(running(deployment))
    expect(fresh.spec?.template.metadata?.annotations).toEqual(
      deployment.spec?.template.metadata?.annotations,
    )
  })

  it("chooses its own pods, and is chosen by nobody else's", () => {
    const own = selectors(JSON.stringify(made))
    // Deployment, two spreads, an affinity, Service.
    expect(own).toHaveLength(5)
    for (const selector of own) {
      expect(chosen(selector, fresh)).toBe(true)
      expect(chosen(selector, deployment)).toBe(false)
      expect(chosen(selector, candidate)).toBe(false)
      expect(chosen(selector, baselineObjects(affine, { ...baseline, revision: 9 })[0])).toBe(false)
    }
    const others = [...objects, ...revisionObjects(workload(full), release({ revision: 8 }))]
    const theirs = selectors(JSON.stringify(others.filter(({ kind }) => kind !== "NetworkPolicy")))
    for (const selector of [...theirs, ...selectors(JSON.stringify(stable))]) {
      expect(chosen(selector, fresh)).toBe(false)
    }
    const covered = the("NetworkPolicy", objects).spec?.podSelector?.matchLabels ?? {}
    expect(chosen(covered, fresh)).toBe(true)
  })

  it("is found by no label of a revision's", () => {
    for (const { metadata } of [...made, fresh.spec?.template ?? {}]) {
      expect(metadata?.labels).not.toHaveProperty("pitwall.dev/revision")
      expect(metadata?.labels).toMatchObject({
        "pitwall.dev/baseline": "8",
        "app.kubernetes.io/instance": "f1-backend-8-baseline",
        "app.kubernetes.io/version": "1.4.0",
      })
    }
  })

  it("has an address that a route can name", () => {
    const { backends, ...where } = {
      ...baseline,
      backends: [{ revision: 8, baseline: true as const, weight: 10 }],
    }
    const [backend] =
      routeObject({ ...where, hostnames: [], gateway, backends }).spec.rules[0]?.backendRefs ?? []
    expect([backend?.name, backend?.port]).toEqual([address.metadata?.name, address.spec?.ports?.[0]?.port])
    expect(address.spec?.ports?.[0]?.targetPort).toBe("http")
  })
})

describe("ownedBy", () => {
  const owned = withRevisionOwner<Manifest>([...objects, stable], { name: "f1-backend-7", uid: "1234" })

  it("gives what is the revision's own to its Deployment, and nothing that outlives it", () => {
    const owner = { apiVersion: "apps/v1", kind: "Deployment", name: "f1-backend-7", uid: "1234" }
    const belonging = owned.filter(({ metadata }) => metadata?.ownerReferences !== undefined)
    expect(belonging.map(({ kind }) => kind)).toEqual([
      "ConfigMap",
      "Secret",
      "Service",
      "PodDisruptionBudget",
      "HorizontalPodAutoscaler",
    ])
    for (const { metadata } of belonging) expect(metadata?.ownerReferences).toEqual([owner])
    expect(owned.at(-1)).toEqual(stable)
  })

  it("leaves what it was given as it was", () => {
    expect(objects.filter(({ metadata }) => metadata?.ownerReferences !== undefined)).toEqual([])
  })
})

describe("routeObject", () => {
  const route = routeObject({
    namespace: "f1-staging",
    service: "f1-backend",
    hostnames: ["f1.example.com"],
    gateway: { ...gateway, section: "https" },
    backends: [
      { revision: 6, weight: 90 },
      { revision: 7, weight: 10 },
    ],
    port: 8000,
  })

  it("shares requests between revisions by weight", () => {
    expect(route.metadata?.name).toBe("f1-backend")
    expect(route.metadata?.labels).not.toHaveProperty("pitwall.dev/revision")
    expect(route.spec).toEqual({
      parentRefs: [
        {
          group: "gateway.networking.k8s.io",
          kind: "Gateway",
          name: "public",
          namespace: "router",
          sectionName: "https",
        },
      ],
      hostnames: ["f1.example.com"],
      rules: [
        {
          matches: [{ path: { type: "PathPrefix", value: "/api" } }],
          backendRefs: [
            { group: "", kind: "Service", name: "f1-backend-6", port: 8000, weight: 90 },
            { group: "", kind: "Service", name: "f1-backend-7", port: 8000, weight: 10 },
          ],
        },
      ],
    })
  })

  it("lets nothing in but the API, whatever has traffic", () => {
    const single = routeObject({
      namespace: "f1-staging",
      service: "api",
      hostnames: ["api.example.com"],
      gateway,
      backends: [{ revision: 1, weight: 1 }],
      port: 8000,
    })
    for (const { spec } of [route, single]) {
      expect(spec.rules.map(({ matches }) => matches)).toEqual([
        [{ path: { type: "PathPrefix", value: "/api" } }],
      ])
    }
  })

  it("names Services that there are", () => {
    const service = the("Service", objects)
    const backend = route.spec.rules[0]?.backendRefs?.[1]
    expect([backend?.name, backend?.port]).toEqual([service.metadata?.name, service.spec?.ports?.[0]?.port])
  })
})
