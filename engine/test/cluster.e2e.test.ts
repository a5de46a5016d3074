// Clusters, and the images that they are made of, held to what the official images of the same names promise. Nothing here
// knows whose images it runs, so the tests pass on any engine.
import https from "node:https"
import { connection, dag, ReturnType, type Service } from "@dagger.io/dagger"
import { afterAll, aroundAll, beforeAll, describe, expect, it } from "vitest"
import {
  ThrowAwayCluster,
  type ResolveEndpoint,
} from "../../dagger/src/platform/cluster/throw-away-cluster.js"
import { ThrowAwayRegistry } from "../../dagger/src/platform/cluster/throw-away-registry.js"
import { gateway } from "../../dagger/src/platform/cluster/router.js"
import { images } from "../../dagger/src/platform/base-images.js"
import { KubernetesClient, type KubernetesObject } from "../../dagger/src/clients/kubernetes/client.js"
import { repository } from "./home.js"

aroundAll((suite) => connection(suite))

const namespace = "paddock"
const labels = (app: string) => ({ app })

/** From this machine, which is not on the engine's network. */
const throughTunnels: ResolveEndpoint = async (service, port) => {
  const tunnel = dag.host().tunnel(service, { ports: [{ backend: port, frontend: 0 }] })
  return (await tunnel.start()).endpoint()
}

/** A web server that answers with the name of its pod, as any user and on a file system that cannot be written. */
const web = () =>
  dag
    .container()
    .from("nginx:1.26")
    .withNewFile(
      "/etc/nginx/nginx.conf",
      `pid /tmp/nginx.pid;
error_log /dev/stderr;
events {}
http {
  access_log off;
  client_body_temp_path /tmp/body; proxy_temp_path /tmp/proxy; fastcgi_temp_path /tmp/fastcgi;
  uwsgi_temp_path /tmp/uwsgi; scgi_temp_path /tmp/scgi;
  server { listen 8000; location / { return 200 "$hostname"; } }
}
`,
    )

const start = (name: string, registry: ThrowAwayRegistry) =>
  ThrowAwayCluster.start({
    name,
    registry,
    resolveEndpoint: throughTunnels,
    gatewayApi: dag.host().directory(`${repository}/dagger/config/kubernetes`).file("gateway-api.yaml"),
  })

let registry: ThrowAwayRegistry
let image: string
let clusters: { first: ThrowAwayCluster; second: ThrowAwayCluster }
let first: KubernetesClient
let server: URL

beforeAll(async () => {
  registry = await ThrowAwayRegistry.start("cluster-test")
  const [one, two, published] = await Promise.all([
    start("first", registry),
    start("second", registry),
    registry.publish(web(), "web"),
  ])
  image = published
  clusters = { first: one, second: two }
  first = await KubernetesClient.connect(await one.kubeconfig())
  server = new URL(`https://${await throughTunnels(one.service, 6443)}`)
  await first.apply({
    apiVersion: "v1",
    kind: "Namespace",
    metadata: { name: namespace, labels: { "pod-security.kubernetes.io/enforce": "restricted" } },
  })
})

afterAll(async () => {
  await Promise.all([clusters.first.stop(), clusters.second.stop()])
  await registry.stop()
})

const container = (change: object = {}) => ({
  name: "web",
  image,
  command: ["nginx", "-g", "daemon off;"],
  securityContext: {
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ["ALL"] },
  },
  volumeMounts: [{ name: "scratch", mountPath: "/tmp" }],
  ...change,
})

const podSpec = (change: object = {}) => ({
  automountServiceAccountToken: false,
  securityContext: { runAsNonRoot: true, runAsUser: 10001, seccompProfile: { type: "RuntimeDefault" } },
  volumes: [{ name: "scratch", emptyDir: {} }],
  containers: [container(change)],
})

/** A Deployment and the Service in front of it. */
function application(name: string, replicas: number): KubernetesObject[] {
  const metadata = { name, namespace }
  const spec = podSpec({
    resources: { requests: { cpu: "10m", memory: "16Mi" }, limits: { memory: "64Mi" } },
    readinessProbe: { httpGet: { path: "/", port: 8000 }, periodSeconds: 1 },
    lifecycle: { preStop: { sleep: { seconds: 1 } } },
  })
  return [
    {
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata,
      spec: {
        replicas,
        selector: { matchLabels: labels(name) },
        template: { metadata: { labels: labels(name) }, spec },
      },
    },
    {
      apiVersion: "v1",
      kind: "Service",
      metadata,
      spec: { selector: labels(name), ports: [{ name: "http", port: 80, targetPort: 8000 }] },
    },
  ]
}

/** A pod that does one thing and ends. */
const task = (name: string, script: string, change: object = {}): KubernetesObject => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name, namespace },
  spec: { ...podSpec({ command: ["bash", "-euc", script], ...change }), restartPolicy: "Never" },
})

async function until<Value>(what: string, look: () => Promise<Value | undefined>): Promise<Value> {
  const deadline = Date.now() + 60_000
  for (;;) {
    const found = await look()
    if (found !== undefined) return found
    if (Date.now() > deadline) throw new Error(`${what}: not after 60 s`)
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
}

/** A pod at its end: the state of its container, and what it said. */
async function ended(pod: KubernetesObject): Promise<{ reason: string; said: string }> {
  await first.apply(pod)
  const name = pod.metadata?.name ?? ""
  const reason = await until(`pod ${name} ends`, async () => {
    const seen = await first.read(pod)
    const [status] = (seen?.status?.containerStatuses ?? []) as {
      state: { terminated?: { reason: string } }
    }[]
    return status?.state.terminated?.reason
  })
  return { reason, said: await first.logs(namespace, name, { lines: 100 }) }
}

const available = (name: string, replicas: number) =>
  until(`${name} is available`, async () => {
    const seen = await first.read({
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: { name, namespace },
    })
    return seen?.status?.availableReplicas === replicas ? true : undefined
  })

/** Asks the API server of the first cluster, as anyone. */
function ask(
  path: string,
  { headers = {}, body }: { headers?: Record<string, string>; body?: object } = {},
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const request = https.request(
      new URL(path, server),
      {
        method: body ? "POST" : "GET",
        headers: { "Content-Type": "application/json", ...headers },
        rejectUnauthorized: false,
      },
      (answer) => {
        let text = ""
        answer.on("data", (part: Buffer) => (text += part.toString()))
        answer.on("end", () => {
          resolve({ status: answer.statusCode ?? 0, text })
        })
      },
    )
    request.on("error", reject)
    request.end(body && JSON.stringify(body))
  })
}

describe("a cluster", () => {
  it("runs what the pipeline published, by digest and as a restricted pod", async () => {
    for (const object of [...application("stable", 2), ...application("canary", 1)]) await first.apply(object)
    await Promise.all([available("stable", 2), available("canary", 1)])
    const pods = await first.list("v1", "Pod", namespace, "app=stable")
    expect(pods).toHaveLength(2)
    for (const { spec } of pods) {
      expect((spec?.containers as { image: string }[])[0]?.image).toMatch(
        /^registry\.local\/web@sha256:[0-9a-f]{64}$/,
      )
    }
  })

  it("resolves the names of Services, and of what runs beside the cluster", async () => {
    const beside = await clusters.second.service.hostname()
    const { reason, said } = await ended(
      task(
        "names",
        `for name in stable stable.${namespace}.svc.cluster.local; do
           until curl -sf "http://$name/"; do sleep 0.2; done
           echo
         done
         getent hosts kubernetes.default.svc.cluster.local
         ! getent hosts nobody.${namespace}.svc.cluster.local
         getent hosts ${beside} > /dev/null && echo beside`,
      ),
    )
    expect(said).toMatch(
      /^stable-\S+\nstable-\S+\n10\.43\.0\.1 +kubernetes\.default\.svc\.cluster\.local\nbeside\n$/,
    )
    expect(reason).toBe("Completed")
  })

  it("lets nobody outside answer for a pod or a Service that is not there", async () => {
    const { said } = await ended(
      task(
        "nowhere",
        "for address in 10.42.0.250:8000 10.43.200.7; do curl -s -m 5 http://$address/ || echo refused; done",
      ),
    )
    expect(said).toBe("refused\nrefused\n")
  })

  it("reaches a pod from itself by its Service", async () => {
    const [, service] = application("loop", 1)
    if (service) await first.apply(service)
    // Its bare name is the pod's own, which no Service is asked for.
    const pod = task("loop", `nginx; until curl -sf http://loop.${namespace}/; do sleep 0.2; done`)
    const { said } = await ended({ ...pod, metadata: { ...pod.metadata, labels: labels("loop") } })
    expect(said).toBe("loop")
  })

  it("answers for pods and Services through its API", async () => {
    const [pod] = await first.list("v1", "Pod", namespace, "app=canary")
    const name = pod?.metadata?.name ?? ""
    expect(await first.proxy("pods", namespace, `${name}:8000`, "/")).toEqual({ status: 200, text: name })
    expect(await first.proxy("services", namespace, "canary:80", "/")).toEqual({ status: 200, text: name })
  })

  it("gives each version its share of requests by weight", async () => {
    const backend = (name: string, weight: number) => ({ group: "", kind: "Service", name, port: 80, weight })
    await first.apply({
      apiVersion: "gateway.networking.k8s.io/v1",
      kind: "HTTPRoute",
      metadata: { name: "shop", namespace },
      spec: {
        parentRefs: [
          {
            group: "gateway.networking.k8s.io",
            kind: "Gateway",
            name: gateway.name,
            namespace: gateway.namespace,
            sectionName: gateway.section,
          },
        ],
        hostnames: ["shop.example"],
        rules: [{ backendRefs: [backend("stable", 90), backend("canary", 10)] }],
      },
    })
    const requests = 3_000
    const said = await web()
      .withServiceBinding("node", clusters.first.service)
      .withEnvVariable("AT", String(Date.now()))
      .withExec([
        "bash",
        "-euc",
        `address=http://node:${gateway.port}/
         until curl -sf -o /dev/null -H 'Host: shop.example' $address; do sleep 0.2; done
         curl -sS -w '\\n' -H 'Host: shop.example' "$address?[1-${requests}]" | sed 's/-.*//' | sort | uniq -c`,
      ])
      .stdout()
    const counts = Object.fromEntries(
      said
        .trim()
        .split("\n")
        .map((line) => line.trim().split(" "))
        .map(([count, name = ""]) => [name, Number(count)]),
    )
    expect(counts).toEqual({ stable: expect.any(Number) as number, canary: expect.any(Number) as number })
    expect((counts.stable ?? 0) + (counts.canary ?? 0)).toBe(requests)
    const deviation = Math.sqrt(requests * 0.1 * 0.9)
    expect(Math.abs((counts.canary ?? 0) - requests * 0.1)).toBeLessThan(5 * deviation)
  })

  it("is reached from this machine by its router", async () => {
    const answer = await fetch(await clusters.first.router())
    expect(answer.status).toBe(404)
  })

  it("denies what nobody was given, and who says no name", async () => {
    await first.apply({ apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "visitor", namespace } })
    const bearer = (token: string) => ({ headers: { Authorization: `Bearer ${token}` } })
    const pods = `/api/v1/namespaces/${namespace}/pods`
    expect((await ask(pods)).status).toBe(401)
    expect((await ask(pods, bearer("throw-away-token-of-second"))).status).toBe(401)

    const admin = bearer("throw-away-token-of-first")
    const review = { apiVersion: "authentication.k8s.io/v1", kind: "TokenRequest", spec: {} }
    const account = `/api/v1/namespaces/${namespace}/serviceaccounts/visitor/token`
    const granted = await ask(account, { ...admin, body: review })
    expect(granted.status).toBe(201)
    const { token } = (JSON.parse(granted.text) as { status: { token: string } }).status
    const denied = await ask(pods, bearer(token))
    expect(denied.status).toBe(403)
    expect(denied.text).toContain(
      `User \\"system:serviceaccount:${namespace}:visitor\\" cannot list resource \\"pods\\"`,
    )
  })

  it("gives pods an identity that the API server knows", async () => {
    const pod = task(
      "identity",
      `account=/var/run/secrets/kubernetes.io/serviceaccount
       curl -sS --cacert $account/ca.crt -H "Authorization: Bearer $(cat $account/token)" -H 'Content-Type: application/json' \\
         -d '{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}' \\
         https://kubernetes.default.svc/apis/authentication.k8s.io/v1/selfsubjectreviews`,
    )
    const spec = { ...pod.spec, automountServiceAccountToken: true }
    const { said } = await ended({ ...pod, spec })
    expect(said).toContain(`"username": "system:serviceaccount:${namespace}:default"`)
  })

  it("takes no privileged pod where pods are restricted", async () => {
    const pod = task("privileged", "true", { securityContext: { privileged: true } })
    await expect(first.apply(pod)).rejects.toThrow(/violates PodSecurity "restricted:latest": privileged/)
  })

  it("kills what takes more memory than it may", async () => {
    const limit = { resources: { limits: { memory: "32Mi" } } }
    expect((await ended(task("greedy", "exec tail /dev/zero", limit))).reason).toBe("OOMKilled")
  })

  it("keeps the objects that deployments are made of", async () => {
    const metadata = { name: "stable", namespace }
    const target = { apiVersion: "apps/v1", kind: "Deployment", name: "stable" }
    const kept: KubernetesObject[] = [
      {
        apiVersion: "autoscaling/v2",
        kind: "HorizontalPodAutoscaler",
        metadata,
        spec: { scaleTargetRef: target, minReplicas: 2, maxReplicas: 3 },
      },
      {
        apiVersion: "policy/v1",
        kind: "PodDisruptionBudget",
        metadata,
        spec: { minAvailable: 1, selector: { matchLabels: labels("stable") } },
      },
      {
        apiVersion: "networking.k8s.io/v1",
        kind: "NetworkPolicy",
        metadata,
        spec: { podSelector: { matchLabels: labels("stable") }, ingress: [{}] },
      },
    ]
    for (const object of kept) expect((await first.apply(object)).metadata?.uid).toBeTruthy()
  })

  it("is another than a second one, which knows nothing of it", async () => {
    const second = await KubernetesClient.connect(await clusters.second.kubeconfig())
    const nodes = await Promise.all([first, second].map((one) => one.list("v1", "Node", "")))
    expect(nodes.map((found) => found.map(({ metadata }) => metadata?.name))).toEqual([["first"], ["second"]])
    expect(
      await second.read({ apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } }),
    ).toBeUndefined()
  })

  it("is reached by kubectl from a container that it is bound to", async () => {
    const said = await dag
      .container()
      .from(images.k3s)
      .withServiceBinding("cluster", clusters.first.service)
      .withMountedSecret("/kubeconfig", await clusters.first.secret("https://cluster:6443"))
      .withEnvVariable("AT", String(Date.now()))
      .withExec(["k3s", "kubectl", "--kubeconfig=/kubeconfig", "version"])
      .stdout()
    expect(said).toMatch(/Client Version: v1\.34\.1.*\n.*\nServer Version: v1\.34\.1/)
  })
})

describe("rancher/k3s", () => {
  const disabled = "--disable=traefik,servicelb,metrics-server,local-storage"

  it.each([
    { when: "it does not know a flag", args: ["--no-such-flag"] },
    {
      when: "a part of it does not know a flag",
      args: [disabled, "--disable-network-policy", "--kube-apiserver-arg=no-such-flag=1"],
    },
  ])("ends, and says why, when $when", async ({ args }) => {
    const node = dag
      .container()
      .from(images.k3s)
      .withExec(["server", ...args], {
        useEntrypoint: true,
        expect: ReturnType.Failure,
        insecureRootCapabilities: true,
      })
    expect((await node.stdout()) + (await node.stderr())).toContain("no-such-flag")
  })
})

describe("registry", () => {
  it("keeps what is pushed, by tag and by digest", async () => {
    const service: Service = dag
      .container()
      .from(images.registry)
      .withEnvVariable("OWNER", "registry-test")
      .withExposedPort(5000)
      .asService({ useEntrypoint: true })
    await service.start()
    const address = await dag
      .container()
      .from("debian:bookworm-slim")
      .withNewFile("/lap", "one")
      .publish("localhost:5000/laps:1", { registryService: service })
    for (const reference of [address, "localhost:5000/laps:1"]) {
      const pulled = dag.container().from(reference, { registryService: service })
      expect(await pulled.file("/lap").contents()).toBe("one")
    }
    await service.stop({ kill: true })
  })
})
