import type { V1Namespace, V1Role, V1RoleBinding } from "@kubernetes/client-node"
// Not by the package's name, which loads an HTTP client that older Node.js cannot.
import { dumpYaml, loadYaml } from "@kubernetes/client-node/dist/yaml.js"
import { describe, expect, it } from "vitest"
import { parse, stringify } from "yaml"
import { accessObjects, guardsNamespace, readSubject, watchAccount } from "../../src/delivery/access.js"
import type { Plain } from "../../src/clients/kubernetes/manifest.js"
import { baselineObjects, revisionObjects, routeObject } from "../../src/backends/manifests/objects.js"
import { full, release, the, workload } from "../backends/manifests/fixtures.js"

const objects = accessObjects({
  namespace: "f1-production",
  deployers: [{ kind: "ServiceAccount", name: "deployer", namespace: "ci" }],
  approvers: [{ kind: "Group", name: "approvers" }],
  checkers: [{ kind: "User", name: "ci" }],
})
const roles = objects.filter(({ kind }) => kind === "Role") as Plain<V1Role>[]
const bindings = objects.filter(({ kind }) => kind === "RoleBinding") as Plain<V1RoleBinding>[]

/** What somebody may do in a namespace, as `verb resource.group`. */
function rights(subject: string, namespace: string): string[] {
  const bound = bindings.filter(
    ({ metadata, subjects }) =>
      metadata?.namespace === namespace && subjects?.some(({ name }) => name === subject) === true,
  )
  return bound.flatMap(({ roleRef }) => {
    const role = roles.find(
      ({ metadata }) => metadata?.namespace === namespace && metadata.name === roleRef.name,
    )
    return (role?.rules ?? []).flatMap(({ apiGroups = [], resources = [], resourceNames = [], verbs }) =>
      apiGroups.flatMap((group) =>
        resources.flatMap((resource) =>
          verbs.map((verb) =>
            [`${verb} ${resource}${group === "" ? "" : `.${group}`}`, ...resourceNames].join(" "),
          ),
        ),
      ),
    )
  })
}
const deployer = rights("deployer", "f1-production")
const of = (resource: string) =>
  deployer
    .map((right) => right.split(" "))
    .filter(([, name]) => name === resource)
    .map(([verb]) => verb)

describe("accessObjects", () => {
  it.each(objects.map((object) => [`${object.kind ?? ""} ${object.metadata?.name ?? ""}`, object]))(
    "knows of %s what Kubernetes knows, and nothing else",
    (_, object) => {
      expect(parse(dumpYaml(loadYaml(stringify(object))))).toEqual(JSON.parse(JSON.stringify(object)))
    },
  )

  it("has namespaces that refuse pods with more than they need", () => {
    const namespaces = objects.filter(({ kind }) => kind === "Namespace") as Plain<V1Namespace>[]
    expect(namespaces.map(({ metadata }) => metadata?.name)).toEqual([
      "f1-production",
      "f1-production-guards",
    ])
    for (const { metadata } of namespaces) {
      expect(metadata?.labels?.["pod-security.kubernetes.io/enforce"]).toBe("restricted")
    }
  })

  it("gives rights in namespaces only, and none by wildcard", () => {
    expect(new Set(objects.map(({ kind }) => kind))).toEqual(
      new Set(["Namespace", "Role", "RoleBinding", "ServiceAccount", "ConfigMap"]),
    )
    for (const { rules = [] } of roles) {
      const words = rules.flatMap(({ apiGroups = [], resources = [], verbs }) => [
        ...apiGroups,
        ...resources,
        ...verbs,
      ])
      expect(words.length).toBeGreaterThan(0)
      expect(words).not.toContain("*")
    }
  })

  it("lets the deployer grant nothing, become nobody and enter no pod", () => {
    const all = deployer.join("\n")
    for (const forbidden of [
      /roles/,
      /rolebindings/,
      /impersonate/,
      /escalate/,
      /bind/,
      /exec/,
      /attach/,
      /token/,
    ]) {
      expect(all).not.toMatch(forbidden)
    }
    expect(all).not.toMatch(/deletecollection/)
  })

  it("lets the deployer write configuration, secrets and the audit log once", () => {
    expect(of("configmaps")).toEqual(["get", "list", "create"])
    expect(of("secrets")).toEqual(["get", "create"])
  })

  it("lets the deployer change the records of databases, and gives migrations an account without rights", () => {
    const withDatabase = accessObjects({
      namespace: "f1-staging",
      deployers: [{ kind: "User", name: "ada" }],
      approvers: [],
      databases: ["recipes"],
    })
    const found = withDatabase.filter(({ kind }) => kind === "Role") as Plain<V1Role>[]
    const deploy = found.find(({ metadata }) => metadata?.name === "pitwall-deployer")
    const patches = deploy?.rules?.filter(
      ({ resources, verbs }) => resources?.includes("configmaps") === true && verbs.includes("patch"),
    )
    expect(patches).toEqual([
      { apiGroups: [""], resources: ["configmaps"], resourceNames: ["database-recipes"], verbs: ["patch"] },
    ])
    const accounts = withDatabase.filter(({ kind }) => kind === "ServiceAccount")
    expect(accounts.map(({ metadata }) => metadata?.name)).toContain("pitwall-database-recipes")
    const granted = withDatabase.filter(({ kind }) => kind === "RoleBinding") as Plain<V1RoleBinding>[]
    expect(granted.flatMap(({ subjects }) => subjects?.map(({ name }) => name))).not.toContain(
      "pitwall-database-recipes",
    )
  })

  it("lets the deployer delete Deployments and Jobs, and traffic never", () => {
    expect(deployer.filter((right) => right.startsWith("delete"))).toEqual([
      "delete deployments.apps",
      "delete jobs.batch",
    ])
  })

  it("lets the deployer look into pods and ask them, and not more", () => {
    expect(of("pods")).toEqual(["get", "list"])
    for (const resource of ["pods/log", "pods/proxy", "services/proxy"]) expect(of(resource)).toEqual(["get"])
  })

  it("lets the deployer make all that a revision is made of", () => {
    const route = routeObject({
      namespace: "f1-production",
      service: "api",
      hostnames: [],
      gateway: { name: "public", namespace: "router" },
      backends: [],
      port: 8000,
    })
    const own = revisionObjects(workload(full), release())
    const baseline = { namespace: "f1-production", service: "api", revision: 8, port: 8000, replicas: 2 }
    const fresh = baselineObjects(the("Deployment", own), baseline)
    for (const { apiVersion = "", kind = "" } of [...own, ...fresh, route]) {
      const group = apiVersion.includes("/") ? `.${apiVersion.split("/")[0] ?? ""}` : ""
      const plural = `${kind.toLowerCase().replace(/y$/, "ie")}s${group}`
      expect(of(plural)).toEqual(expect.arrayContaining(["get", "create"]))
      const immutable = ["ConfigMap", "Secret"].includes(kind)
      expect(of(plural).includes("patch")).toBe(!immutable)
    }
  })

  it("gives the dead-man's switch what it needs, nothing that the deployer has not", () => {
    const watch = rights(watchAccount, "f1-production")
    expect(watch).toEqual([
      "get httproutes.gateway.networking.k8s.io",
      "patch httproutes.gateway.networking.k8s.io",
      "get leases.coordination.k8s.io",
    ])
    // A deployer may run pods under any account of the namespace: none of them is to be worth it.
    expect(deployer).toEqual(expect.arrayContaining(watch))
    expect(objects.find(({ kind }) => kind === "ServiceAccount")?.metadata).toMatchObject({
      namespace: "f1-production",
      name: watchAccount,
    })
  })

  it("lets approvers approve and CI record verdicts, and the deployer only read both", () => {
    const guards = guardsNamespace("f1-production")
    expect(rights("approvers", guards)).toEqual([
      "get configmaps",
      "list configmaps",
      "patch configmaps approvals",
    ])
    expect(rights("ci", guards)).toEqual(["get configmaps", "create configmaps"])
    expect(rights("deployer", guards)).toEqual(["get configmaps", "list configmaps"])
    expect(rights("ci", "f1-production")).toEqual([])
  })

  it("lets approvers read what is deployed, but no secrets, and change nothing of it", () => {
    const read = rights("approvers", "f1-production")
    expect(read.every((right) => /^(get|list) /.test(right))).toBe(true)
    expect(read.join("\n")).not.toContain("secrets")
  })

  it("has an object for approvals that can be applied again without a loss", () => {
    const found = objects.filter(({ kind }) => kind === "ConfigMap")
    expect(found).toMatchObject([{ metadata: { namespace: "f1-production-guards", name: "approvals" } }])
    expect(found[0]).not.toHaveProperty("data")
  })

  it("has no place for approvals where nobody approves", () => {
    const staging = accessObjects({
      namespace: "f1-staging",
      deployers: [{ kind: "User", name: "ada" }],
      approvers: [],
    })
    expect(staging.map(({ metadata }) => metadata?.namespace ?? metadata?.name)).toEqual(
      Array(6).fill("f1-staging"),
    )
  })

  it("makes the accounts that deploy and live in the namespace, and nobody else's", () => {
    const accountsFor = (...deployers: string[]) =>
      accessObjects({ namespace: "f1-staging", deployers: deployers.map(readSubject), approvers: [] })
        .filter(({ kind }) => kind === "ServiceAccount")
        .map(({ metadata }) => metadata)
    const [ours, theirs] = ["f1-staging", "ci"].map((home) => `system:serviceaccount:${home}:deployer`)
    expect(accountsFor(ours ?? "", theirs ?? "", "ada")).toMatchObject([
      { namespace: "f1-staging", name: "deployer" },
      { namespace: "f1-staging", name: watchAccount },
    ])
  })

  it("lets nobody approve in whose name a deployer can start pods", () => {
    const access = (approver: string) => () =>
      accessObjects({ namespace: "f1-production", deployers: [], approvers: [readSubject(approver)] })
    expect(access("system:serviceaccount:f1-production:boss")).toThrow(
      "boss cannot approve for f1-production",
    )
    expect(access("system:serviceaccount:people:boss")).not.toThrow()
  })

  it("lets nobody record verdicts who deploys, or in whose name a deployer can start pods", () => {
    const access = (checker: string) => () =>
      accessObjects({
        namespace: "f1-production",
        deployers: [readSubject("dora")],
        approvers: [],
        checkers: [readSubject(checker)],
      })
    expect(access("dora")).toThrow("dora cannot record verdicts for f1-production, as it deploys there")
    expect(access("system:serviceaccount:f1-production:api")).toThrow("api cannot record verdicts")
    expect(access("ci")).not.toThrow()
  })

  it("names subjects as Kubernetes does", () => {
    const subjects = bindings.map(({ subjects: named }) => named?.[0])
    expect(subjects[0]).toEqual({ kind: "ServiceAccount", name: "deployer", namespace: "ci" })
    expect(subjects[3]).toEqual({ kind: "Group", name: "approvers", apiGroup: "rbac.authorization.k8s.io" })
    const near = accessObjects({
      namespace: "x",
      deployers: [
        { kind: "ServiceAccount", name: "deployer" },
        { kind: "User", name: "ada" },
      ],
      approvers: [],
    })
    const binding = near.find(({ kind }) => kind === "RoleBinding") as Plain<V1RoleBinding>
    expect(binding.subjects).toEqual([
      { kind: "ServiceAccount", name: "deployer", namespace: "x" },
      { kind: "User", name: "ada", apiGroup: "rbac.authorization.k8s.io" },
    ])
  })
})

describe("readSubject", () => {
  it.each([
    ["ada@example.com", { kind: "User", name: "ada@example.com" }],
    ["system:serviceaccount:ci:deployer", { kind: "ServiceAccount", namespace: "ci", name: "deployer" }],
    ["group:approvers", { kind: "Group", name: "approvers" }],
  ])("reads %s", (text, subject) => {
    expect(readSubject(text)).toEqual(subject)
  })

  it.each(["", " ada"])("takes %j for nobody", (text) => {
    expect(() => readSubject(text)).toThrow(
      "allowed: a user, system:serviceaccount:NAMESPACE:NAME or group:NAME",
    )
  })
})
