import { describe, expect, it } from "vitest"
import { parse } from "yaml"
import { kubeconfigOf, missingParts } from "../../src/platform/cluster/throw-away-cluster.js"
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

describe("the missing parts of a cluster", () => {
  it("are none when node, DNS and router are ready", () => {
    expect(missingParts(up)).toEqual([])
  })

  it.each([
    { seen: { ...up, nodes: [] }, missing: ["node: missing"] },
    {
      seen: { ...up, nodes: [{ ...node, ...condition("Ready", "False", "no network yet") }] },
      missing: ["node: no network yet"],
    },
    {
      seen: { ...up, nodes: [{ ...node, spec: { taints: [{ key: "node.kubernetes.io/not-ready" }] } }] },
      missing: ["node: has the taint node.kubernetes.io/not-ready"],
    },
    { seen: { ...up, dns: [] }, missing: ["DNS: no server is ready"] },
    { seen: { ...up, dns: [slice(false)] }, missing: ["DNS: no server is ready"] },
    { seen: { ...up, gateway: undefined }, missing: ["router: missing"] },
    { seen: { ...up, gateway: { kind: "Gateway" } }, missing: ["router: not Programmed"] },
    {
      seen: { nodes: [], dns: [], gateway: undefined },
      missing: ["node: missing", "DNS: no server is ready", "router: missing"],
    },
  ])("are listed: $missing", ({ seen, missing }) => {
    expect(missingParts(seen)).toEqual(missing)
  })
})

describe("a kubeconfig", () => {
  it("contains the server and its own token only", () => {
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

  it("lists each object after those that it refers to", () => {
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

  it("listens on its Gateway's port, for routes of every namespace", () => {
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
