// What `access` prints, on a real cluster: requests with the tokens of a hostile deployer, approver and checker, sent as any program would send them. Every attack is
// accepted without the admission policies, so it is well-formed and within the attacker's rights, and refused with them. What an honest deploy sends is accepted.
import { readFileSync } from "node:fs"
import { connection, dag } from "@dagger.io/dagger"
import { afterAll, aroundAll, beforeAll, describe, expect, it } from "vitest"
import { KubernetesClient, type KubernetesObject } from "../../src/clients/kubernetes/client.js"
import type { Manifest } from "../../src/clients/kubernetes/manifest.js"
import { Revisions } from "../../src/backends/revisions/revisions.js"
import { RolloutRecord } from "../../src/backends/rollout/record.js"
import { approvalsName, databaseObject, guardsNamespace } from "../../src/delivery/access.js"
import { Approvals } from "../../src/delivery/approvals.js"
import { verdictObject } from "../../src/delivery/verdicts.js"
import { environmentAccess } from "../../src/environments/access.js"
import { databaseSettings, environmentOf, readDeploy } from "../../src/environments/configuration.js"
import { type ResolveEndpoint, ThrowAwayCluster } from "../../src/platform/cluster/throw-away-cluster.js"
import { ThrowAwayRegistry } from "../../src/platform/cluster/throw-away-registry.js"
import {
  type Attack,
  approvalOf,
  approverAttacks,
  ask,
  type ApiRequest,
  checkerAttacks,
  create,
  deployerAttacks,
  hex,
  honest,
  patch,
} from "./attacks.js"
import { repository } from "./daggerw.js"

aroundAll((suite) => connection(suite))

const read = (path: string) => readFileSync(`${repository}/${path}`, "utf8")
const watchdog = read("dagger/config/kubernetes/watchdog.py")
const configuration = readDeploy(read("dagger/config/deploy.yaml"), {
  file: "settings.yaml",
  text: `
environments:
  staging: { gateway: { name: f1-staging, namespace: router, class: router, port: 8080 } }
  production: { gateway: { name: f1-production, namespace: router, class: router, port: 8080 } }
services:
  api: { database: { name: recipes, backup: { kind: postgres, bucket: backups, endpoint: "https://s3.example.com" } } }
`,
})
const production = environmentOf(configuration, "production")
const staging = environmentOf(configuration, "staging")
const { namespace } = production
const guards = guardsNamespace(namespace)
const approvals: Manifest = {
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { namespace: guards, name: approvalsName },
}

/** Accounts of people, outside the environment. */
const people = "operators"
const userOf = (name: string) => `system:serviceaccount:${people}:${name}`
const subject = (name: string) => ({ kind: "ServiceAccount" as const, namespace: people, name })
const deployer = userOf("deployer")

const objects = environmentAccess(
  production,
  {
    deployers: [subject("deployer")],
    approvers: [subject("ada"), subject("grace"), subject("mallory")],
    checkers: [subject("ci")],
  },
  watchdog,
  databaseSettings(configuration, production),
)
const isPolicy = ({ kind = "" }: Manifest) => kind.startsWith("ValidatingAdmissionPolicy")
const of = honest(configuration, watchdog)

/** More than `access` grants: the policies have to hold on their own, also where an administrator was generous. */
const generous: Manifest[] = [
  {
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "Role",
    metadata: { namespace, name: "generous" },
    rules: [
      {
        apiGroups: ["", "apps", "batch", "gateway.networking.k8s.io"],
        resources: ["*"],
        verbs: ["create", "get", "patch", "update"],
      },
    ],
  },
  {
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "RoleBinding",
    metadata: { namespace, name: "generous" },
    subjects: [subject("deployer")],
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: "generous" },
  },
] as object[]

const hour = 3_600_000
const first = approvalOf("one", userOf("ada"), "a", Date.now() + hour)
const attacks = {
  deployer: deployerAttacks(of, deployer),
  mallory: approverAttacks(namespace, userOf("mallory"), first),
  ci: checkerAttacks(namespace, userOf("ci")),
}
type Attacker = keyof typeof attacks
const all = Object.entries(attacks).flatMap(([who, list]) =>
  list.map((attack) => ({ who: who as Attacker, ...attack })),
)

const throughTunnels: ResolveEndpoint = async (service, port) => {
  const tunnel = dag.host().tunnel(service, { ports: [{ backend: port, frontend: 0 }] })
  return (await tunnel.start()).endpoint()
}

let cluster: ThrowAwayCluster
let registry: ThrowAwayRegistry
let server: URL
let admin: KubernetesClient
const tokens: Record<string, string> = {}
/** What the API server said to each attack before the policies were applied. */
const before = new Map<string, { status: number; message: string }>()

const as = (who: string, request: ApiRequest, dryRun = true) =>
  ask(server, tokens[who] ?? "", request, { dryRun })
const attackAs = (who: string, { request }: Attack) => as(who, request)

async function until(what: string, look: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 180_000
  while (!(await look())) {
    if (Date.now() > deadline) throw new Error(`${what}: not after 180 s`)
    await new Promise((resolve) => setTimeout(resolve, 250))
  }
}

async function startCluster(): Promise<{ address: string; kubeconfig: string }> {
  registry = await ThrowAwayRegistry.start("access-test")
  cluster = await ThrowAwayCluster.start({
    name: "access-test",
    registry,
    resolveEndpoint: throughTunnels,
    gatewayApi: dag.host().directory(`${repository}/dagger/config/kubernetes`).file("gateway-api.yaml"),
  })
  return { address: await cluster.api(), kubeconfig: await cluster.kubeconfig() }
}

beforeAll(async () => {
  const { address, kubeconfig } = await startCluster()
  server = new URL(`https://${address}`)
  admin = await KubernetesClient.connect(kubeconfig)
  await admin.apply({ apiVersion: "v1", kind: "Namespace", metadata: { name: people } })
  for (const name of ["deployer", "ada", "grace", "mallory", "ci"]) {
    await admin.apply({ apiVersion: "v1", kind: "ServiceAccount", metadata: { namespace: people, name } })
  }
  const adminToken = /token: ([\w.-]+)/.exec(kubeconfig)?.[1] ?? ""
  for (const name of ["deployer", "ada", "grace", "mallory", "ci"]) {
    const { object } = await ask(server, adminToken, {
      method: "POST",
      path: `/api/v1/namespaces/${people}/serviceaccounts/${name}/token`,
      body: { apiVersion: "authentication.k8s.io/v1", kind: "TokenRequest", spec: {} },
    })
    tokens[name] = (object as unknown as { status: { token: string } }).status.token
  }
  for (const object of [...objects.filter((one) => !isPolicy(one)), ...generous]) await admin.apply(object)
  await admin.apply({
    apiVersion: "v1",
    kind: "ServiceAccount",
    metadata: { namespace, name: "api" },
    automountServiceAccountToken: false,
  } as KubernetesObject)
  await admin.merge(approvals, {
    data: {
      ...first,
      ...approvalOf("two", deployer, "b", Date.now() + hour),
      ...approvalOf("three", userOf("ada"), "c", Date.now() + hour),
      "three.revoked": `by=${userOf("grace")}\nat=2026-11-28T10:00:00.000Z\nreason=an advisory`,
      ...approvalOf("four", userOf("ada"), "e", Date.now() - 1_000),
    },
  })
  // Revisions from before the policies: of an approved image, of one whose approval has expired, and of one that nobody approved.
  for (const [letter, revision] of [
    ["a", 2],
    ["e", 1],
    ["f", 11],
  ] as const) {
    const deployment = of.deployment(letter, revision)
    await admin.apply({ ...deployment, spec: { ...deployment.spec, replicas: 0 } })
  }
  for (const attack of all) before.set(`${attack.who} ${attack.name}`, await attackAs(attack.who, attack))
  for (const object of objects.filter(isPolicy)) await admin.apply(object)
  // The API server compiles a new policy within seconds.
  await until("the policies hold", async () => {
    const answers = await Promise.all(all.map(async (attack) => (await attackAs(attack.who, attack)).status))
    return answers.every((status) => status >= 400)
  }).catch(() => undefined)
})

afterAll(async () => {
  await cluster.stop()
  await registry.stop()
})

describe("an attack", () => {
  it("is made in many ways", () => {
    expect(all.length).toBeGreaterThan(50)
  })

  it.each(all.map((attack) => ({ ...attack, title: `${attack.who}: ${attack.name}` })))(
    "is refused by its policy: $title",
    async (attack) => {
      const { status, message } = await attackAs(attack.who, attack)
      expect(message).toContain(attack.refused)
      expect([403, 422]).toContain(status)
      // Rights alone refuse some attacks; all others are well-formed and would succeed without the policies.
      if (attack.refused === "forbidden") return
      expect(message).toContain(`pitwall-${namespace}-`)
      const without = before.get(`${attack.who} ${attack.name}`)
      expect(without?.status, without?.message).toBeLessThan(300)
    },
  )
})

const accepted = async (who: string, request: ApiRequest, dryRun = true) => {
  const { status, message } = await as(who, request, dryRun)
  expect(message).toBe("")
  expect(status).toBeLessThan(300)
}

describe("an honest deployer", () => {
  it.each(of.objects("a", 3).map((object) => [object.kind, object]))(
    "creates a revision's %s",
    async (_, object) => {
      const exists = ["ServiceAccount"].includes(object.kind ?? "")
      await accepted(
        "deployer",
        exists ? patch(object, { metadata: { labels: object.metadata?.labels } }) : create(object),
      )
    },
  )

  it("creates its route, its Service, its watchdog and its audit entries", async () => {
    await accepted("deployer", create(of.route))
    await accepted("deployer", create(of.stable))
    await accepted("deployer", create(of.job("a")))
    await accepted("deployer", create(of.entry(deployer)))
  })

  it("creates a migration, its plan, what it reads and its record, and changes the record", async () => {
    for (const mode of ["migrate", "plan"] as const) {
      const { job, networkPolicy, owned } = of.migration("a", mode)
      for (const object of [job, networkPolicy, ...owned("uid")]) await accepted("deployer", create(object))
    }
    const record = (name: string): Manifest => ({
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { namespace, name },
    })
    const change = (name: string) => patch(record(name), { data: { state: "{}" } })
    await accepted("deployer", create(record(databaseObject("recipes"))), false)
    await accepted("deployer", change(databaseObject("recipes")))
  })

  it("creates the checks of a database by an image whose approval has expired since", async () => {
    for (const mode of ["backup", "verify", "drift"] as const)
      await accepted("deployer", create(of.migration("e", mode).job))
  })

  it("creates a migration beside older code whose approval has expired or was revoked since", async () => {
    for (const older of ["c", "e"])
      await accepted("deployer", create(of.migration("a", "migrate", older).job))
  })

  it("gets the pod of a migration with its copy, and its controller starts it", async () => {
    const { job, owned } = of.migration("a")
    await accepted("deployer", create(job), false)
    for (const object of owned("uid"))
      await accepted(
        "deployer",
        create({ ...object, metadata: { ...object.metadata, ownerReferences: [] } }),
        false,
      )
    await until("a pod", async () => {
      const pods = await admin.list("v1", "Pod", namespace, "pitwall.dev/database=recipes")
      return pods.length === 1
    })
    await admin.delete(job)
  })

  it("creates a fresh baseline and a watchdog of an image whose approval has expired since", async () => {
    for (const object of of.baseline("e")) await accepted("deployer", create(object))
    await accepted("deployer", create(of.job("e")))
  })

  it("makes a revision, its baseline and its route as a deploy does, also when it is resumed", async () => {
    const client = await KubernetesClient.connect(await kubeconfigOf("deployer"))
    const revisions = new Revisions(client, namespace, "api")
    await revisions.ensure(of.objects("a", 4), "fingerprint")
    await revisions.ensure(of.objects("a", 4), "fingerprint")
    await revisions.ensureBaseline(4, { stable: 2, replicas: 1, port: 8000 })
    const { name, namespace: place } = production.gateway
    const settings = {
      namespace,
      service: "api",
      port: 8000,
      hostnames: production.services.api?.hostnames ?? [],
      gateway: { name, namespace: place },
    }
    const record = new RolloutRecord(client, settings, production.rollout)
    for (const phase of ["preparing", "shifting", "promoted"] as const) {
      await record.read()
      await record.write({ ...of.rollout, revision: 4, stable: 2, phase })
    }
    expect(record.traffic()).toEqual([{ revision: 4, weight: 100 }])
    expect((await revisions.find(4))?.fingerprint).toBe("fingerprint")
  })

  it("scales up a revision whose approval has expired, as a rollback does, and controllers start its pods", async () => {
    await accepted("deployer", patch(of.deployment("e", 1), { spec: { replicas: 2 } }), false)
    await until("two pods", async () => {
      const pods = await admin.list("v1", "Pod", namespace, "pitwall.dev/revision=1")
      return pods.length === 2
    })
  })

  it("gets no pods of a revision that nobody ever approved", async () => {
    const deployment = of.deployment("f", 11)
    await accepted("deployer", patch(deployment, { spec: { replicas: 1 } }), false)
    await until("its pods are refused", async () => {
      const live = await admin.read(deployment)
      const conditions = (live?.status?.conditions ?? []) as { type: string; message?: string }[]
      return conditions.some(({ message = "" }) => message.includes("nobody has approved"))
    })
    expect(await admin.list("v1", "Pod", namespace, "pitwall.dev/revision=11")).toEqual([])
  })
})

describe("an approval", () => {
  it("makes an image deployable, and its revocation undoes that", async () => {
    const given = new Approvals(await KubernetesClient.connect(await kubeconfigOf("grace")), namespace)
    const request = create(of.deployment("d", 3))
    expect((await as("deployer", request)).message).toContain("nobody has approved")
    const digest = `sha256:${hex("d")}`
    const at = Date.now()
    await given.give({
      id: "five",
      by: userOf("grace"),
      at,
      expires: at + hour,
      digests: { api: digest },
      contents: { api: { settings: digest, secrets: `scrypt:${hex("d")}` } },
      note: "for the test",
    })
    await until("the approval counts", async () => (await as("deployer", request)).status < 300)
    await given.revoke("five", { by: userOf("grace"), at, reason: "an advisory" })
    await until("the revocation counts", async () =>
      (await as("deployer", request)).message.includes("revoked"),
    )
    expect((await given.all()).find(({ id }) => id === "five")?.revoked?.by).toBe(userOf("grace"))
  })

  it("is revoked by any approver", async () => {
    const data = { "one.revoked": `by=${userOf("grace")}\nat=2026-11-28T10:00:00.000Z\nreason=an advisory` }
    await accepted("grace", patch(approvals, { data }))
  })

  it("stays when access is applied again", async () => {
    await admin.apply(
      objects.find(({ kind, metadata }) => kind === "ConfigMap" && metadata?.name === approvalsName) ?? {},
    )
    expect((await admin.read(approvals))?.data).toMatchObject(first)
  })

  it("is needed: without the approvals nothing runs", async () => {
    await admin.delete(approvals)
    await until(
      "everything is refused",
      async () => (await as("deployer", create(of.deployment("a", 3)))).status >= 400,
    )
    await admin.apply(approvals)
    await admin.merge(approvals, { data: first })
    await until(
      "it counts again",
      async () => (await as("deployer", create(of.deployment("a", 3)))).status < 300,
    )
  })
})

describe("a verdict", () => {
  it("is recorded by the identity of CI", async () => {
    const verdict = {
      id: "x",
      by: userOf("ci"),
      verdict: "passed" as const,
      commit: "c",
      digests: [`sha256:${hex("a")}`],
    }
    await accepted("ci", create(verdictObject(guards, verdict)))
  })
})

describe("the Gateway of an environment", () => {
  const route = (namespaceOfRoute: string, hostnames: string[]): KubernetesObject => ({
    ...of.route,
    metadata: { namespace: namespaceOfRoute, name: "api" },
    spec: { ...of.route.spec, hostnames },
  })
  const parents = async (object: KubernetesObject) => {
    const { parents: found = [] } = ((await admin.read(object))?.status ?? {}) as {
      parents?: { conditions: { type: string; status: string; reason: string }[] }[]
    }
    return found.flatMap(({ conditions }) => conditions).filter(({ type }) => type === "Accepted")
  }

  it("accepts its routes", async () => {
    const own = route(namespace, production.services.api?.hostnames ?? [])
    await admin.apply(own)
    await until("the route is accepted", async () =>
      (await parents(own)).some(({ status }) => status === "True"),
    )
  })

  it("refuses a route of another environment with its host name", async () => {
    await admin.apply({ apiVersion: "v1", kind: "Namespace", metadata: { name: staging.namespace } })
    const theirs = route(staging.namespace, production.services.api?.hostnames ?? [])
    await admin.apply(theirs)
    await until("the route is refused", async () => (await parents(theirs)).length > 0)
    expect(await parents(theirs)).toMatchObject([{ status: "False", reason: "NotAllowedByListeners" }])
  })
})

/** The kubeconfig of one of the people. */
async function kubeconfigOf(name: string): Promise<string> {
  return (await cluster.kubeconfig()).replace(/token: [\w.-]+/, `token: ${tokens[name] ?? ""}`)
}
