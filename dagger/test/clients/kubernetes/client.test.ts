import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from "node:http"
import type { AddressInfo } from "node:net"
import { afterEach, describe, expect, it } from "vitest"
import {
  ApiError,
  KubernetesClient,
  type KubernetesObject,
  UnreachableError,
} from "../../../src/clients/kubernetes/client.js"

interface Asked {
  method: string
  path: string
  query: Record<string, string>
  type: string | undefined
  authorization: string | undefined
  body: unknown
}
/** One answer; none: the connection is cut, after the request was read. */
type Reply = { status?: number; body?: unknown; date?: string } | undefined

const servers: Server[] = []
afterEach(() => {
  for (const server of servers.splice(0)) server.closeAllConnections()
})

/** What the API server says about its groups: resources by path. */
const groups: Record<string, [name: string, kind: string, namespaced: boolean][]> = {
  "/api/v1": [
    ["configmaps", "ConfigMap", true],
    ["namespaces", "Namespace", false],
    ["pods", "Pod", true],
    ["pods/log", "Pod", true],
  ],
  "/apis/apps/v1": [["deployments", "Deployment", true]],
  "/apis/authentication.k8s.io/v1": [["selfsubjectreviews", "SelfSubjectReview", false]],
}

/** An API server that describes its groups, and sends one reply per other request, the last one for ever. */
async function serve(...replies: Reply[]) {
  const asked: Asked[] = []
  const discovered: string[] = []
  const headers: IncomingHttpHeaders[] = []
  const pauses: number[] = []
  const answer = (request: IncomingMessage, response: ServerResponse, text: string) => {
    const url = new URL(request.url ?? "", "http://x")
    headers.push(request.headers)
    if (/^\/(api|apis\/[^/]+)\/[^/]+$/.test(url.pathname)) {
      discovered.push(url.pathname)
      const resources = groups[url.pathname]?.map(([name, kind, namespaced]) => ({ name, kind, namespaced }))
      response.statusCode = resources ? 200 : 404
      response.end(JSON.stringify(resources ? { resources } : { message: "page not found" }))
      return
    }
    asked.push({
      method: request.method ?? "",
      path: url.pathname,
      query: Object.fromEntries(url.searchParams),
      type: request.headers["content-type"],
      authorization: request.headers.authorization,
      body: text === "" ? undefined : JSON.parse(text),
    })
    const reply = replies[Math.min(asked.length, replies.length) - 1]
    if (!reply) {
      request.socket.destroy()
      return
    }
    if (reply.date !== undefined) response.setHeader("Date", reply.date)
    response.statusCode = reply.status ?? 200
    response.end(typeof reply.body === "string" ? reply.body : JSON.stringify(reply.body ?? {}))
  }
  const server = createServer((request, response) => {
    let text = ""
    request.on("data", (part: Buffer) => (text += part.toString()))
    request.on("end", () => {
      answer(request, response, text)
    })
  })
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const { port } = server.address() as AddressInfo
  const cluster = await KubernetesClient.connect(kubeconfig(`http://127.0.0.1:${port}`), {
    pause: (milliseconds) => {
      pauses.push(milliseconds)
      return Promise.resolve()
    },
  })
  return { cluster, asked, discovered, headers, pauses, server }
}

const kubeconfig = (server: string, user = "token: hunter2-token") => `
apiVersion: v1
kind: Config
current-context: here
clusters: [{ name: one, cluster: { server: "${server}" } }]
users: [{ name: ada, user: { ${user} } }]
contexts: [{ name: here, context: { cluster: one, user: ada } }]
`
const thing: KubernetesObject = {
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { namespace: "staging", name: "api-3" },
  data: { PORT: "8000" },
}
const refusal = (reason: string) => ({ reason, message: `it is ${reason}` })

describe("Kubernetes", () => {
  it("asks where each kind lives, with the token", async () => {
    const { cluster, asked } = await serve({ body: thing })
    expect(await cluster.read(thing)).toEqual(thing)
    await cluster.read({ apiVersion: "apps/v1", kind: "Deployment", metadata: { namespace: "a", name: "b" } })
    await cluster.read({ apiVersion: "v1", kind: "Namespace", metadata: { name: "a" } })
    expect(asked.map(({ method, path }) => `${method} ${path}`)).toEqual([
      "GET /api/v1/namespaces/staging/configmaps/api-3",
      "GET /apis/apps/v1/namespaces/a/deployments/b",
      "GET /api/v1/namespaces/a",
    ])
    expect(asked[0]?.authorization).toBe("Bearer hunter2-token")
  })

  it("lists by label, and says of each what it is", async () => {
    const { cluster, asked } = await serve({ body: { items: [{ metadata: { name: "a" } }] } })
    expect(await cluster.list("v1", "Pod", "staging", "app=api,revision")).toEqual([
      { apiVersion: "v1", kind: "Pod", metadata: { name: "a" } },
    ])
    expect(asked[0]?.query).toEqual({ limit: "500", labelSelector: "app=api,revision" })
  })

  it("reads a list page by page, and anew when its snapshot has expired", async () => {
    const page = (name: string, token?: string) => ({
      body: {
        metadata: { ...(token !== undefined && { continue: token }) },
        items: [{ metadata: { name } }],
      },
    })
    const { cluster, asked } = await serve(
      page("a", "more"),
      { status: 410, body: { reason: "Expired", message: "too old" } },
      page("b", "more"),
      page("c"),
    )
    const found = await cluster.list("v1", "Pod", "staging")
    expect(found.map(({ metadata }) => metadata?.name)).toEqual(["b", "c"])
    expect(asked.map(({ query }) => query.continue)).toEqual([undefined, "more", undefined, "more"])
  })

  it("applies on the server, and for a dry run changes nothing", async () => {
    const { cluster, asked } = await serve({ body: thing })
    await cluster.apply(thing)
    await cluster.apply(thing, { dryRun: true })
    const usual = { fieldManager: "pitwall", force: "true" }
    expect(asked.map(({ query }) => query)).toEqual([usual, { ...usual, dryRun: "All" }])
    expect(asked[0]).toMatchObject({ method: "PATCH", type: "application/apply-patch+yaml", body: thing })
  })

  it("merges, and hears of a conflict", async () => {
    const { cluster, asked, pauses } = await serve({ status: 409, body: refusal("Conflict") })
    const merge = cluster.merge(thing, { metadata: { resourceVersion: "7" } })
    await expect(merge).rejects.toMatchObject({ name: "ApiError", status: 409, reason: "Conflict" })
    expect(asked[0]).toMatchObject({ type: "application/merge-patch+json", method: "PATCH" })
    expect(pauses).toEqual([])
  })

  it("knows nothing of what is not there, and deletes it without a word", async () => {
    const { cluster, asked } = await serve({ status: 404, body: refusal("NotFound") })
    expect(await cluster.read(thing)).toBeUndefined()
    await cluster.delete(thing)
    expect(asked[1]).toMatchObject({ method: "DELETE", query: { propagationPolicy: "Background" } })
  })

  const forbidden = { status: 403, body: refusal("Forbidden") }
  const address = "/api/v1/namespaces/staging/configmaps/api-3"

  it("takes no for an answer from an API server that is ready", async () => {
    const { cluster, asked, pauses } = await serve(forbidden, { body: "ok" }, forbidden)
    await expect(cluster.read(thing)).rejects.toThrow(`GET ${address}: 403 it is Forbidden`)
    expect(asked.map(({ path }) => path)).toEqual([address, "/readyz", address])
    expect(pauses).toEqual([])
  })

  it("takes none from one that has just started and does not know yet who may do what", async () => {
    const starting = [forbidden, { status: 500, body: "not yet" }]
    const { cluster, pauses } = await serve(...starting, ...starting, { body: thing })
    expect(await cluster.read(thing)).toEqual(thing)
    expect(pauses).toEqual([200, 500])

    const late = await serve(forbidden, { body: "ok" }, { body: thing })
    expect(await late.cluster.read(thing)).toEqual(thing)
  })

  it("says both where it is refused and may not ask whether the API server is ready", async () => {
    const { cluster } = await serve(forbidden)
    const refused = cluster.read(thing)
    await expect(refused).rejects.toThrow(UnreachableError)
    await expect(refused).rejects.toThrow(
      /403 it is Forbidden; the API server may not be ready: \/readyz answered 403$/,
    )
  })

  it.each([
    ["is busy", { status: 503, body: "not yet" }, [200, 500]],
    ["asks for fewer requests", { status: 429, body: refusal("TooManyRequests") }, [200, 500]],
    // The first connection was kept since the API server described its group, so its end needs no pause.
    ["cuts the connection", undefined, [200]],
  ])("tries again while the API server %s", async (_, reply, waited) => {
    const { cluster, asked, pauses } = await serve(reply, reply, { body: thing })
    expect(await cluster.read(thing)).toEqual(thing)
    expect(asked).toHaveLength(3)
    expect(pauses).toEqual(waited)
  })

  it("gives up in the end, and says why", async () => {
    const { cluster, pauses } = await serve({ status: 503, body: refusal("down") })
    await expect(cluster.read(thing)).rejects.toThrow(UnreachableError)
    await expect(cluster.read(thing)).rejects.toThrow("503 it is down")
    expect(pauses.slice(0, 6)).toEqual([200, 500, 1_000, 2_000, 4_000, 8_000])
  })

  it("tries again where nothing listens", async () => {
    const { cluster, pauses, server } = await serve({})
    await new Promise((resolve) => server.close(resolve))
    await expect(cluster.read(thing)).rejects.toThrow(/the API server cannot be reached: .*ECONNREFUSED/)
    expect(pauses).toHaveLength(6)
  })

  it("asks again on a new connection when a kept one is gone", async () => {
    const { cluster, pauses, server } = await serve({ body: thing })
    await cluster.read(thing)
    server.closeAllConnections()
    expect(await cluster.read(thing)).toEqual(thing)
    expect(pauses.length).toBeLessThanOrEqual(1)
  })

  it("finds what it made when the answer was lost", async () => {
    const live = { ...thing, metadata: { ...thing.metadata, uid: "1" } }
    const { cluster, asked } = await serve(
      undefined,
      { status: 409, body: refusal("Exists") },
      { body: live },
    )
    expect(await cluster.create(thing)).toEqual(live)
    expect(asked.map(({ method }) => method)).toEqual(["POST", "POST", "GET"])
  })

  it("does not take what another command made meanwhile for its own", async () => {
    const live = { ...thing, data: { PORT: "9000" } }
    const conflict = { status: 409, body: refusal("AlreadyExists") }
    const { cluster } = await serve(undefined, conflict, { body: live })
    await expect(cluster.create(thing)).rejects.toMatchObject({ status: 409, reason: "AlreadyExists" })
    const { cluster: other } = await serve(conflict)
    await expect(other.create(thing)).rejects.toThrow(ApiError)
  })

  it("has the API server's clock, and not that of a pod that it asked through it", async () => {
    const date = "Mon, 02 Mar 2026 10:00:00 GMT"
    const { cluster } = await serve({ body: thing, date }, { date: "Mon, 02 Mar 2020 10:00:00 GMT" })
    await cluster.read(thing)
    const near = () => Math.abs(cluster.now() - Date.parse(date))
    expect(near()).toBeLessThan(5_000)
    await cluster.proxy("pods", "staging", "api-3-x", "/metrics")
    expect(near()).toBeLessThan(5_000)
  })

  it("asks pods and Services as they are, and takes any answer", async () => {
    const { cluster, asked } = await serve({ status: 503, body: "starting" })
    expect(await cluster.proxy("services", "staging", "api-3:8000", "/health/ready?full=1")).toEqual({
      status: 503,
      text: "starting",
    })
    expect(asked).toMatchObject([
      { path: "/api/v1/namespaces/staging/services/api-3:8000/proxy/health/ready", query: { full: "1" } },
    ])
  })

  it("stops asking when nobody waits any longer", async () => {
    const { cluster } = await serve({})
    const given = AbortSignal.abort(new Error("no answer within 5 s"))
    await expect(cluster.proxy("pods", "staging", "a", "/metrics", 10_000, given)).rejects.toThrow(
      "no answer within 5 s",
    )
  })

  it("reads logs, and who it is", async () => {
    const { cluster, asked } = await serve({ body: "Traceback" })
    expect(await cluster.logs("staging", "api-3-x", { previous: true })).toBe("Traceback")
    expect(asked[0]?.query).toEqual({ tailLines: "10", previous: "true" })
    await cluster.logs("staging", "api-3-x", { container: "api", lines: 1 })
    expect(asked[1]?.query).toEqual({ tailLines: "1", container: "api" })
    const { cluster: other } = await serve({
      status: 201,
      body: { status: { userInfo: { username: "ada", groups: ["approvers"] } } },
    })
    expect(await other.whoAmI()).toEqual({ name: "ada", groups: ["approvers"] })
    const { cluster: mute } = await serve({ status: 201, body: {} })
    await expect(mute.whoAmI()).rejects.toThrow("does not say which user")
  })

  it.each([
    [{ apiVersion: "v1", kind: "ConfigMap", metadata: { namespace: "a" } }, "without a name"],
    [{ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "a" } }, "without a namespace"],
  ])("does not guess addresses: %o", async (object, message) => {
    const { cluster } = await serve({})
    await expect(cluster.read(object)).rejects.toThrow(message)
  })
})

describe("the resource of a kind", () => {
  const unicorn = { apiVersion: "example.com/v1", kind: "Unicorn", metadata: { namespace: "a", name: "b" } }

  it("is what the API server says, and is asked for once per group", async () => {
    groups["/apis/example.com/v1"] = [["unicornsies", "Unicorn", true]]
    const { cluster, asked, discovered } = await serve({ body: unicorn })
    await Promise.all([cluster.read(unicorn), cluster.read(unicorn), cluster.read(thing)])
    await cluster.read(unicorn)
    expect(asked.map(({ path }) => path)).toContain("/apis/example.com/v1/namespaces/a/unicornsies/b")
    expect(discovered.sort()).toEqual(["/api/v1", "/apis/example.com/v1"])
  })

  it("is asked for again when a kind was defined since", async () => {
    groups["/apis/example.com/v1"] = [["horses", "Horse", true]]
    const { cluster, asked, discovered } = await serve({ body: unicorn })
    await cluster.read({ ...unicorn, kind: "Horse" })
    expect(await cluster.read(unicorn)).toBeUndefined()
    await expect(cluster.create(unicorn)).rejects.toThrow(
      "the API server does not know the kind Unicorn in apis/example.com/v1",
    )
    groups["/apis/example.com/v1"].push(["unicorns", "Unicorn", true])
    expect(await cluster.read(unicorn)).toEqual(unicorn)
    expect(asked).toHaveLength(2)
    expect(discovered).toHaveLength(4)
  })

  it("says whose step is missing where a namespace is", async () => {
    const { cluster } = await serve({
      status: 404,
      body: { reason: "NotFound", message: 'namespaces "a" not found' },
    })
    await expect(cluster.apply(thing)).rejects.toThrow(
      'namespaces "a" not found; an administrator applies what the function access prints',
    )
  })

  it("is the usual one in a group that is not served, so that the API server's own answer is seen", async () => {
    const { cluster, asked } = await serve({ status: 404, body: refusal("NotFound") })
    const policy = { ...unicorn, apiVersion: "nowhere.example/v1", kind: "RetryPolicy" }
    expect(await cluster.read(policy)).toBeUndefined()
    await expect(cluster.apply(policy)).rejects.toThrow("404 it is NotFound")
    await expect(cluster.create({ ...policy, kind: "Ingress" })).rejects.toThrow("404")
    expect(asked.map(({ path }) => path)).toEqual([
      "/apis/nowhere.example/v1/namespaces/a/retrypolicies/b",
      "/apis/nowhere.example/v1/namespaces/a/retrypolicies/b",
      "/apis/nowhere.example/v1/namespaces/a/ingresses",
    ])
  })
})

describe("a write whose answer was lost", () => {
  const patch = {
    metadata: { resourceVersion: "7", annotations: { holder: "ada", gone: null } },
    data: { PORT: "9000" },
  }
  const live = {
    ...thing,
    metadata: { ...thing.metadata, resourceVersion: "8", annotations: { holder: "ada" } },
    data: { PORT: "9000", OTHER: "x" },
  }
  const conflict = { status: 409, body: refusal("Conflict") }

  it("is recognised by what it wrote", async () => {
    const { cluster } = await serve(undefined, conflict, { body: live })
    expect(await cluster.merge(thing, patch)).toEqual(live)
  })

  it("is recognised also when it was sent on a kept connection", async () => {
    // The connection is kept after the read, so the lost request is sent again without a pause.
    const { cluster, pauses } = await serve({ body: thing }, undefined, conflict, { body: live })
    await cluster.read(thing)
    expect(await cluster.merge(thing, patch)).toEqual(live)
    expect(pauses).toEqual([])
    const created = await serve({ body: thing }, undefined, conflict, { body: live })
    await created.cluster.read(thing)
    expect(await created.cluster.create({ ...thing, data: { PORT: "9000" } })).toEqual(live)
  })

  it.each([
    ["another holder", { ...live, metadata: { ...live.metadata, annotations: { holder: "bob" } } }],
    [
      "a field that was to go",
      { ...live, metadata: { ...live.metadata, annotations: { holder: "ada", gone: "x" } } },
    ],
    ["another value", { ...live, data: { PORT: "8000" } }],
  ])("is another writer's if the object has %s", async (_, found) => {
    const { cluster } = await serve(undefined, conflict, { body: found })
    await expect(cluster.merge(thing, patch)).rejects.toMatchObject({ status: 409, reason: "Conflict" })
  })

  it("does not take a longer list for its own", async () => {
    const { cluster } = await serve(undefined, conflict, { body: { ...live, rules: ["a", "b"] } })
    await expect(cluster.merge(thing, { ...patch, rules: ["a"] })).rejects.toMatchObject({ status: 409 })
  })
})

describe("a kubeconfig", () => {
  const server = "https://cluster.example:6443"

  it("impersonates with groups, uid and extra fields, as kubectl does", async () => {
    const { headers, server } = await serve({ body: thing })
    const { port } = server.address() as AddressInfo
    const as =
      'as: Zoë, as-uid: "7", as-groups: [ops, "team b"], as-user-extra: { "Example.com/Scope": [a, b] }'
    const cluster = await KubernetesClient.connect(kubeconfig(`http://127.0.0.1:${port}`, as))
    await cluster.read(thing)
    expect(headers.at(-1)).toMatchObject({
      "impersonate-user": Buffer.from("Zoë").toString("latin1"),
      "impersonate-uid": "7",
      "impersonate-group": "ops, team b",
      "impersonate-extra-example.com%2fscope": "a, b",
    })
  })

  it.each(["as-groups: [hunter2]", 'as-uid: "hunter2"', "as-user-extra: { scope: [hunter2] }"])(
    "with %s and no user to impersonate is refused",
    async (user) => {
      const refused = KubernetesClient.connect(kubeconfig(server, user))
      await expect(refused).rejects.toThrow("as-uid, as-groups and as-user-extra need a user in as")
    },
  )

  it.each([
    ["127.0.0.1:6443"],
    ["127.1.2.3"],
    ["localhost:8443"],
    ["kind.localhost:6443"],
    ["[::1]:6443"],
    ["0.0.0.0:6443"],
  ])("with the loopback address %s is refused in a container, with what to do instead", async (host) => {
    const text = kubeconfig(`https://${host}`)
    const refused = KubernetesClient.connect(text, { fromContainer: true })
    await expect(refused).rejects.toThrow(`its server is ${host}`)
    await expect(refused).rejects.toThrow(
      "is the container itself; set an address at which other machines reach",
    )
    await expect(KubernetesClient.connect(text)).resolves.toBeInstanceOf(KubernetesClient)
  })

  it.each([
    "https://cluster.example:6443",
    "https://10.0.0.1",
    "https://localhost.example",
    "https://[fd00::1]",
  ])("with the address %s may be used in a container", async (address) => {
    const connected = KubernetesClient.connect(kubeconfig(address), { fromContainer: true })
    await expect(connected).resolves.toBeInstanceOf(KubernetesClient)
  })

  it("is asked with a token instead of its user, where one is given", async () => {
    const { asked, server } = await serve({})
    const { port } = server.address() as AddressInfo
    // Such as `aws eks update-kubeconfig` writes.
    const text = kubeconfig(`http://127.0.0.1:${port}`, "exec: { command: aws, args: [eks, get-token] }")
    const cluster = await KubernetesClient.connect(text, { token: "eyJhbGciOi.J9-_~\n" })
    await cluster.read(thing)
    expect(asked[0]?.authorization).toBe("Bearer eyJhbGciOi.J9-_~")
  })

  it.each(["", "\n", "hunter2 hunter2", "error: hunter2\nmore"])(
    "takes no token that is none: %j",
    async (token) => {
      const refused = KubernetesClient.connect(kubeconfig(server), { token })
      await expect(refused).rejects.toThrow("the token cannot be used: it must be one word")
      await expect(refused).rejects.not.toThrow(/hunter2/)
    },
  )

  it.each([
    ["no YAML", "hunter2: [hunter2", "not a YAML document of kind Config"],
    ["something else", "hunter2", "the kubeconfig cannot be read: the document"],
    ["no context", "clusters: []", "current-context"],
    [
      "another context",
      kubeconfig(server).replace("name: here", "name: there"),
      'no context "here"; it has there',
    ],
    ["no such cluster", kubeconfig(server).replace("name: one", "name: two"), 'no cluster "one"; it has two'],
    ["a server that is none", kubeconfig("hunter2"), "cluster.server must be an address"],
    [
      "a file",
      kubeconfig(server, "client-key: /home/hunter2.pem"),
      "client-key names a file of another machine",
    ],
    ["a command", kubeconfig(server, "exec: { command: aws, args: [hunter2] }"), "exec runs a command"],
    ["a token that is none", kubeconfig(server, "token: [hunter2]"), "user.token: must be text, not a list"],
    ["a token of two lines", kubeconfig(server, 'token: "hunter2\\nx"'), "it must be one word"],
    [
      "groups that are none",
      kubeconfig(server, "as: a, as-groups: hunter2"),
      "user.as-groups: must be a list, not text",
    ],
    [
      "a line break in a user",
      kubeconfig(server, 'as: "hunter2\\r\\nx"'),
      "as must not contain control characters",
    ],
  ])("with %s is refused, without a word of what it holds", async (_, text, message) => {
    const refused = KubernetesClient.connect(text)
    await expect(refused).rejects.toThrow(message)
    await expect(refused).rejects.not.toThrow(/hunter2/)
    expect(await refused.catch((error: unknown) => String((error as Error).cause))).not.toContain("hunter2")
  })
})
