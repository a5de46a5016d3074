// A model trained by the command `train`, as a Job of the serving image on a throw-away cluster, with its registry in an S3 store: killed and gone on with, once; nothing new
// the second time; promoted by `deploy`, followed by the pods, and rolled back. A deployer's rights and no more.
import { generateKeyPairSync } from "node:crypto"
import { readFile, rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { connection, type Service } from "@dagger.io/dagger"
import type { V1Job, V1Pod } from "@kubernetes/client-node"
import { afterAll, aroundAll, beforeAll, describe, expect, it } from "vitest"
import { PodMetrics } from "../../src/backends/analysis/sources.js"
import { ClusterPods } from "../../src/backends/revisions/pods.js"
import { KubernetesClient } from "../../src/clients/kubernetes/client.js"
import type { Plain } from "../../src/clients/kubernetes/manifest.js"
import { environmentAccess } from "../../src/environments/access.js"
import { deployFile, environmentOf, modelSettings, readDeploy } from "../../src/environments/configuration.js"
import { watchdogFile } from "../../src/environments/environment.js"
import { trainingObjects } from "../../src/models/job.js"
import { predictionPath } from "../../src/models/serving.js"
import { registryPort } from "../../src/platform/cluster/throw-away-registry.js"
import { RehearsalEnvironment } from "../../src/rehearsal/environment.js"
import { addresses, underLoad } from "../../src/rehearsal/load.js"
import { loadImages, prepareImages } from "../../src/rehearsal/prepare.js"
import { copyOfTheRepository, daggerw, repository } from "./daggerw.js"
import { s3, storePort } from "./s3.js"
import { Tunnels } from "./tunnels.js"
import { configure, rehearsalSource } from "./user-checkout.js"

aroundAll((suite) => connection(suite))

const namespace = "f1-staging"
const deployer = { kind: "ServiceAccount" as const, namespace: "operators", name: "deployer" }
const bucket = "models"
const { publicKey, privateKey } = generateKeyPairSync("ec", {
  namedCurve: "prime256v1",
  publicKeyEncoding: { type: "spki", format: "pem" },
  privateKeyEncoding: { type: "pkcs8", format: "pem" },
})
const keys = { id: "key-of-the-test", secret: "secret-key-of-the-test" }

/** Requests per second while models change. Few by default: the machine has other things to do. */
const rate = Number(process.env.PITWALL_TEST_RATE ?? 10)

/** As it is shipped, where this cluster's router is and in less time, with models in the image instead of a volume. */
const settingsOf = (model: string) => `
environments:
  staging:
    guards: {}
    gateway: { name: f1-staging, namespace: router, class: router, port: 8080 }
    rollout:
      steps: [{ weight: 50, for: 6s }]
      progressDeadline: 180s
      prePromotion: 3s
      postPromotion: 0s
      scaleDownDelay: 5s
      abortDelay: 5s
      unattended: 90s
    services: { api: null }
  production:
    gateway: { name: f1-production, namespace: router, class: router, port: 8080 }
    services: { api: null }
analysis: { interval: 2s, noDataTimeout: 60s, rules: [{ metric: error-rate, above: 10, for: 4s, requests: 1 }] }
services:
  f1-backend:
    secrets: { MODEL_REGISTRY_KEY_ID: {}, MODEL_REGISTRY_SECRET_KEY: {} }
    workload: { replicas: { min: 1, max: 1 }, volumes: [] }
${model}`

let rehearsal: RehearsalEnvironment
let store: Service
let storeAddress: string
/** A copy of the repository with a .env, as a user has one. */
let checkout: string
/** The same with a registry. */
let withModel: string
let image: string
/** Where users find the service. */
let hostname: string
const tunnels = new Tunnels()

beforeAll(async () => {
  checkout = await copyOfTheRepository()
  const shipped = await readFile(join(repository, deployFile), "utf8")
  const configured = (text: string) => readDeploy(shipped, { file: "settings.yaml", text })
  rehearsal = await RehearsalEnvironment.start(rehearsalSource(), {
    service: "f1-backend",
    deployedTo: environmentOf(configured(settingsOf("")), "staging"),
    id: "train-test",
    resolveEndpoint: (service, port) => tunnels.open(service, port),
  })
  store = await s3("train-test").start()
  storeAddress = `http://${await tunnels.open(store, storePort)}`
  const made = await fetch(`${storeAddress}/${bucket}`, { method: "PUT" })
  expect(made.status, await made.text()).toBe(200)
  withModel = settingsOf(`
    model:
      name: f1-winners
      registry: { bucket: ${bucket}, prefix: f1, endpoint: "http://${await store.hostname()}:${storePort}", region: us-east-1 }
      publicKey: ${JSON.stringify(publicKey)}
      limits: { time: 30m, memory: 1Gi }
`)
  const configuration = configured(withModel)
  const environment = environmentOf(configuration, "staging")
  hostname = environment.services["f1-backend"]?.hostnames[0] ?? ""
  const watchdog = await readFile(join(repository, watchdogFile), "utf8")
  const people = { deployers: [deployer], approvers: [] }
  for (const object of environmentAccess(
    environment,
    people,
    watchdog,
    [],
    modelSettings(configuration, environment),
  ))
    await rehearsal.admin.apply(object)
  const secrets = {
    ...rehearsal.secrets,
    STAGING_MODEL_REGISTRY_KEY_ID: keys.id,
    STAGING_MODEL_REGISTRY_SECRET_KEY: keys.secret,
    STAGING_MODEL_SIGNING_KEY: privateKey,
  }
  await configure(checkout, rehearsal, tunnels, { settings: settingsOf(""), secrets })
  image = (await rehearsal.publish(await rehearsal.image())).replace(
    "registry.local",
    `localhost:${registryPort}`,
  )
  const release = { schemaVersion: 1, images: { "f1-backend": { reference: image } } }
  await writeFile(join(checkout, "release.json"), JSON.stringify(release))
})

afterAll(async () => {
  await rehearsal.stop()
  await store.stop({ kill: true })
  tunnels.close()
  await rm(checkout, { recursive: true, force: true })
})

const call = (args: string[], mortal = false) =>
  daggerw(["--progress", "plain", "call", ...args], checkout, { mortal })

async function done(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await call(args).ended
  if (code !== 0) throw new Error(`${args.join(" ")}\n${stderr.slice(-6_000)}`)
  return stdout
}

const deploy = () => done("deploy", "--env", "staging", "--release", "release.json")
const objects = async () =>
  [
    ...(await (await fetch(`${storeAddress}/${bucket}?list-type=2`)).text()).matchAll(/<Key>(.*?)<\/Key>/g),
  ].map(([, key = ""]) => key)

/** What each pod of the second revision answers. */
async function answers(path: string): Promise<string[]> {
  const selector = "app.kubernetes.io/instance=f1-backend-2"
  const pods = (await rehearsal.admin.list("v1", "Pod", namespace, selector)) as Plain<V1Pod>[]
  expect(pods.length).toBeGreaterThan(0)
  return await Promise.all(
    pods.map(async ({ metadata }) => {
      const pod = `${metadata?.name ?? ""}:8000`
      return (await rehearsal.admin.proxy("pods", namespace, pod, path)).text
    }),
  )
}

/** A command of the image beside the store, with what an operator has. */
const registry = async (...args: string[]): Promise<string> =>
  (await rehearsal.image())
    .withServiceBinding("store", store)
    .withEnvVariable("AT", String(Date.now()))
    .withEnvVariable("ENVIRONMENT", "staging")
    .withEnvVariable("DATABASE_URL", "postgresql://unused")
    .withEnvVariable("REDIS_URL", "redis://unused")
    .withEnvVariable("JWT_SECRET_KEY", "throw-away-key-of-a-test-that-lives-for-one-run-4711")
    .withEnvVariable("JWT_ISSUER", "test")
    .withEnvVariable("JWT_AUDIENCE", "test")
    .withEnvVariable("TRUSTED_PROXIES", "10.0.0.0/8")
    .withEnvVariable("MODEL_REGISTRY", `s3://${bucket}/f1`)
    .withEnvVariable("MODEL_REGISTRY_ENDPOINT", `http://store:${storePort}`)
    .withEnvVariable("MODEL_REGISTRY_REGION", "us-east-1")
    .withEnvVariable("MODEL_REGISTRY_KEY_ID", keys.id)
    .withEnvVariable("MODEL_REGISTRY_SECRET_KEY", keys.secret)
    .withEnvVariable("MODEL_PUBLIC_KEY", publicKey)
    .withExec(["python", "-m", "f1", "registry", ...args])
    .stdout()

describe("the model of a service", { timeout: 40 * 60_000 }, () => {
  it("is trained by a command that is killed and run again, once, and becomes the challenger", async () => {
    expect(await deploy()).toMatch(/^f1-backend +promoted +1 /m)
    await writeFile(join(checkout, "settings.yaml"), withModel)
    const first = call(["train", "--env", "staging"], true)
    await first.until("f1-winners: there is no champion")
    first.kill()
    await first.ended
    expect(await done("train", "--env", "staging")).toMatch(
      /f1-winners: [0-9]{8}-[0-9a-f]{10} \([0-9a-f]{12}\) is the challenger: there is no champion yet/,
    )
    const found = await objects()
    expect(found.filter((key) => key.endsWith("/manifest.json"))).toHaveLength(1)
    for (const name of ["model.sig", "record.json", "walk-forward.json", "MODEL_CARD.md", "sbom.cdx.json"])
      expect(
        found.filter((key) => key.endsWith(`/${name}`)),
        name,
      ).toHaveLength(1)
    expect(found).toContain("f1/pointers/staging.json")
    const history = await done("history", "--env", "staging")
    expect(history).toContain("is the challenger")
  })

  it("is not trained again when nothing is new", async () => {
    const before = await objects()
    expect(await done("train", "--env", "staging")).toContain("f1-winners: nothing new")
    expect(await objects()).toEqual(before)
  })

  it("is promoted by a deploy that names it, before any pod follows the registry, and served by the next ones", async () => {
    const [digest = ""] = /[0-9a-f]{64}/.exec(await registry("list")) ?? []
    expect(await done("plan", "--env", "staging", "--only", "f1-winners")).toContain(
      `champion: none → ${digest}`,
    )
    expect(await done("deploy", "--env", "staging", "--only", "f1-winners")).toMatch(
      /^f1-winners +promoted .*no pod follows the registry yet/m,
    )
    expect(await registry("list")).toMatch(new RegExp(`^${digest} .*champion`, "m"))
    expect(await deploy()).toMatch(/^f1-backend +promoted +2 /m)
    for (const answer of await answers("/health/ready")) expect(answer).toContain(digest)
    expect(await done("deploy", "--env", "staging", "--only", "f1-winners")).toContain(
      "there is no challenger",
    )
  })

  it("has its forecast of the next race kept, and its inputs and past forecasts judged", async () => {
    const { code, stdout, stderr } = await call(["train", "--env", "staging"]).ended
    expect(code, stderr.slice(-6_000)).toBe(0)
    expect(stdout + stderr).toContain("f1-winners: kept the forecast of ")
    expect(stdout).toContain("f1-winners: nothing new")
    for (const answer of await answers("/api/f1/monitoring"))
      expect(JSON.parse(answer)).toMatchObject({
        outdated: false,
        stages: [{ verdict: "no-data" }, { verdict: "no-data" }],
        drift: { verdict: "too-little-data" },
        findings: [],
      })
  })

  it("gives way to another one that predicts beside it first, and comes back by a rollback, without a request lost", async () => {
    const serving = async () =>
      (await answers("/api/f1/model/served")).map(
        (answer) => (JSON.parse(answer) as { champion: { digest: string } }).champion.digest,
      )
    const [first = ""] = await serving()
    // The same races, trained again: another model with the same trees.
    expect(await done("train", "--env", "staging", "--force")).toMatch(
      /f1-winners: .*(unproven|so the champion stays|too little)/,
    )
    const others = [...(await registry("list")).matchAll(/^[0-9a-f]{64}/gm)].map(([digest]) => digest)
    const second = others.find((digest) => digest !== first) ?? ""
    await prepareImages(loadImages, () => undefined)
    const metrics = new PodMetrics(new ClusterPods(rehearsal.admin))
    const target = { namespace, service: "f1-backend", revision: 2, role: "stable" as const }
    const moved: Record<string, number> = {}
    const { requests, unsent } = await underLoad(
      {
        id: `train-${Date.now()}`,
        cluster: rehearsal.cluster.service,
        host: hostname,
        paths: [...(addresses["f1-backend"] ?? []), predictionPath],
        rate,
      },
      rehearsal.admin,
      async () => (await metrics.sample(target)).requests > 0,
      async () => {
        moved.promote = Date.now()
        const table = await done("deploy", "--env", "staging", "--only", `f1-winners@${second}`)
        moved.promoted = Date.now()
        expect(table).toMatch(/^f1-winners +promoted .*serves on every pod .*answers to [1-9]/m)
        expect(await serving()).toEqual([second])
        const status = await done("status", "--env", "staging", "--only", "f1-winners")
        expect(status).toContain(second.slice(0, 12))
        moved.rollBack = Date.now()
        const back = ["rollback", "--env", "staging", "--model", "f1-winners", "--reason", "the test says so"]
        expect(await done(...back)).toMatch(/^f1-winners +promoted /m)
        moved.rolledBack = Date.now()
        expect(await serving()).toEqual([first])
      },
    )
    const lost = requests.filter(({ status }) => status < 200 || status > 299)
    const seconds = (from = 0, to = 0) => ((to - from) / 1000).toFixed(1)
    console.log(
      `${rate} requests per second: ${requests.length} sent, ${unsent} not sent, ${lost.length} lost; ` +
        `promoted in ${seconds(moved.promote, moved.promoted)} s, back in ${seconds(moved.rollBack, moved.rolledBack)} s`,
    )
    expect(requests.length).toBeGreaterThan(rate)
    expect(lost).toEqual([])
    const history = await done("history", "--env", "staging", "--only", "f1-winners")
    expect(history).toContain(`${first.slice(0, 12)} → ${second.slice(0, 12)}`)
  })

  it("is trained by that Job alone: the account runs nothing else", async () => {
    const configuration = readDeploy(await readFile(join(repository, deployFile), "utf8"), {
      file: "settings.yaml",
      text: withModel,
    })
    const [settings] = modelSettings(configuration, environmentOf(configuration, "staging"))
    if (!settings) throw new Error("no model")
    const asDeployer = await KubernetesClient.connect(await rehearsal.deployer())
    const { job } = trainingObjects(settings, { id: "attack", image, force: false }, {})
    const changed = (args: string[]): Plain<V1Job> => {
      const copy = structuredClone(job)
      const [container] = copy.spec?.template.spec?.containers ?? []
      if (container) container.args = args
      return copy
    }
    for (const args of [
      ["registry", "promote"],
      ["serve"],
      ["registry", "train", "--no-fetch"],
      ["registry", "point", "latest"],
    ])
      await expect(asDeployer.create(changed(args)), args.join(" ")).rejects.toThrow(
        "trains and promotes the model f1-winners",
      )
  })
})
