import { describe, expect, it } from "vitest"
import { parse } from "yaml"
import { kubeconfigOf, whatIsMissing } from "../../src/platform/cluster/throw-away-cluster.js"
import { gateway, routerObjects } from "../../src/platform/cluster/router.js"
import type { KubernetesObject } from "../../src/clients/kubernetes/client.js"

const condition = (type: string, status: string, message = "") => ({
  status: { conditions: [{ type, status, message }] },
})
const node: KubernetesObject = { kind: "Node", ...condition("Ready", "True") }
const slice = (ready: boolean): KubernetesObject =>
  ({ kind: "EndpointSlice", endpoints: [{ conditions: { ready } }] }) as KubernetesObject
const programmed: KubernetesObject = { kind: "Gateway", ...condition("Programmed", "True") }
const up = { nodes: [node], dns: [slice(true)], gateway: programmed }

describe("what a cluster lacks", () => {
  it("is nothing when the node takes pods, names resolve and the router routes", () => {
    expect(whatIsMissing(up)).toEqual([])
  })

  it.each([
    { seen: { ...up, nodes: [] }, missing: ["node: there is none"] },
    {
      seen: { ...up, nodes: [{ ...node, ...condition("Ready", "False", "no network yet") }] },
      missing: ["node: no network yet"],
    },
    {
      seen: { ...up, nodes: [{ ...node, spec: { taints: [{ key: "node.kubernetes.io/not-ready" }] } }] },
      missing: ["node: it has the taint node.kubernetes.io/not-ready"],
    },
    { seen: { ...up, dns: [] }, missing: ["DNS: no server is ready"] },
    { seen: { ...up, dns: [slice(false)] }, missing: ["DNS: no server is ready"] },
    { seen: { ...up, gateway: undefined }, missing: ["router: there is none"] },
    { seen: { ...up, gateway: { kind: "Gateway" } }, missing: ["router: not Programmed"] },
    {
      seen: { nodes: [], dns: [], gateway: undefined },
      missing: ["node: there is none", "DNS: no server is ready", "router: there is none"],
    },
  ])("is said: $missing", ({ seen, missing }) => {
    expect(whatIsMissing(seen)).toEqual(missing)
  })
})

describe("a kubeconfig", () => {
  it("names the server and nobody else's token", () => {
    const { clusters, users } = parse(kubeconfigOf("spa", "https://cluster:6443")) as {
      clusters: { cluster: { server: string } }[]
      users: { user: { token: string } }[]
    }
    expect(clusters.map(({ cluster }) => cluster.server)).toEqual(["https://cluster:6443"])
    expect(kubeconfigOf("monza", "https://cluster:6443")).not.toContain(users[0]?.user.token)
  })
})

describe("the router", () => {
  const objects = routerObjects("registry.local/traefik@sha256:1") as KubernetesObject[]
  const the = (kind: string) => objects.find((object) => object.kind === kind)

  it("is made in an order in which each object finds what it names", () => {
    expect(objects.map(({ kind }) => kind)).toEqual([
      "Namespace",
      "ServiceAccount",
      "ClusterRole",
      "ClusterRoleBinding",
      "Deployment",
      "Service",
      "GatewayClass",
      "Gateway",
    ])
  })

  it("listens where its Gateway says, for routes of every namespace", () => {
    const { gatewayClassName, listeners } = the("Gateway")?.spec ?? {}
    expect(gatewayClassName).toBe(the("GatewayClass")?.metadata?.name)
    expect(listeners).toEqual([
      {
        name: gateway.section,
        port: gateway.port,
        protocol: "HTTP",
        allowedRoutes: { namespaces: { from: "All" } },
      },
    ])
    expect(JSON.stringify(the("Deployment"))).toContain(
      `--entryPoints.${gateway.section}.address=:${gateway.port}`,
    )
  })

  it("may change no object, only the status of its own kinds", () => {
    const { rules } = the("ClusterRole") as KubernetesObject & {
      rules: { resources: string[]; verbs: string[] }[]
    }
    const changed = rules.filter(({ verbs }) =>
      verbs.some((verb) => !["get", "list", "watch"].includes(verb)),
    )
    expect(changed.flatMap(({ resources }) => resources).every((name) => name.endsWith("/status"))).toBe(true)
    expect(changed.flatMap(({ verbs }) => verbs)).toEqual(["update"])
  })
})
