// Times `functions`, the planning of `ci`, `status` and `history` as the repository is, and with 50 services and 10,000 entries in the audit log, in one run.
//
//   node scripts/bench/scale.mjs [RUNS]     5 of each by default; prints medians, the range, and the ratio of the medians
//
// The services are copies of services/api in a copy of the repository. The entries are in a throw-away cluster, where they are made beforehand.
// Planning is `ci` for a group that does not exist: it reads the catalogue, makes every gate, and ends before one runs.
import { spawn } from "node:child_process"
import { createHash } from "node:crypto"
import { appendFileSync, copyFileSync, cpSync, readFileSync, writeFileSync } from "node:fs"
import { Agent, request } from "node:https"
import { createRequire } from "node:module"
import { connect, createServer } from "node:net"
import { networkInterfaces } from "node:os"
import { basename, join } from "node:path"
import { fileURLToPath } from "node:url"
import { left, workFolder } from "./checkout.mjs"

const repository = fileURLToPath(new URL("../..", import.meta.url))
/**
 * What is read here of services.yaml, deploy.yaml and a kubeconfig.
 *
 * @typedef {{
 *   services: Record<string, Record<string, unknown> | undefined>
 *   environments: Record<string, { services: Record<string, { hostnames: [string] } | undefined> }>
 *   clusters: [{ cluster: Record<string, unknown> }]
 *   users: [{ user: { token: string } }]
 * }} Parsed
 * @type {{ parse: (text: string) => Parsed, stringify: (value: unknown) => string }}
 */
const yaml = createRequire(join(repository, "dagger/package.json"))("yaml")
const runs = Number(process.argv[2] ?? 5)
const services = 50
const entries = 10_000
/** The cluster's API on loopback, and where the pipeline's containers reach it. */
const port = 16443
const outerPort = 16444

/** @type {import("node:child_process").ChildProcess[]} */
const running = []
const { work, done } = workFolder(() => {
  running.forEach((child) => child.kill("SIGINT"))
})
const checkouts = { shipped: join(work, "shipped"), scaled: join(work, "scaled") }
for (const checkout of Object.values(checkouts)) {
  cpSync(repository, checkout, { recursive: true, filter: (path) => !left.has(basename(path)) })
}
const scaledServices = addServices(checkouts.scaled)

/**
 * Runs a program. Not synchronously: the forwarder must work meanwhile.
 *
 * @param {string} program @param {string[]} args @param {import("node:child_process").SpawnOptions} options
 * @returns {Promise<{ status: number | null, stdout: string, stderr: string }>}
 */
function end(program, args, options) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, options)
    const output = { stdout: "", stderr: "" }
    child.stdout?.on("data", (chunk) => (output.stdout += String(chunk)))
    child.stderr?.on("data", (chunk) => (output.stderr += String(chunk)))
    child.on("error", reject).on("close", (status) => {
      resolve({ status, ...output })
    })
  })
}

/** @param {string} checkout @param {string[]} args */
async function call(checkout, ...args) {
  const started = performance.now()
  const { status, stdout, stderr } = await end("./daggerw", args, {
    cwd: checkout,
    stdio: ["ignore", "pipe", "pipe"],
  })
  return { seconds: (performance.now() - started) / 1000, status, stdout, stderr }
}

/** @param {string} checkout @param {string[]} args */
async function succeed(checkout, ...args) {
  const ended = await call(checkout, ...args)
  if (ended.status !== 0)
    throw new Error(`${args.join(" ")} ended with ${String(ended.status)}:\n${ended.stderr}`)
  return ended
}

/** Adds copies of services/api to the catalogue, the environment, and the module's functions. @param {string} checkout */
function addServices(checkout) {
  const path = (/** @type {string} */ file) => join(checkout, file)
  const catalog = yaml.parse(readFileSync(path("dagger/config/services.yaml"), "utf8"))
  const deploy = yaml.parse(readFileSync(path("dagger/config/deploy.yaml"), "utf8"))
  const names = []
  for (let at = 0; Object.keys(catalog.services).length < services; at++) {
    const name = `copy-${String.fromCharCode(97 + Math.floor(at / 26), 97 + (at % 26))}`
    names.push(name)
    cpSync(path("services/api"), path(`services/${name}`), { recursive: true })
    const dockerfile = readFileSync(path(`services/${name}/Dockerfile`), "utf8")
    writeFileSync(path(`services/${name}/Dockerfile`), dockerfile.replaceAll("api/", `${name}/`))
    catalog.services[name] = { ...catalog.services.api, port: 9000 + at }
    deploy.services[name] = deploy.services.api
    for (const environment of Object.values(deploy.environments)) {
      const api = environment.services.api
      if (!api) throw new Error("an environment does not deploy api")
      environment.services[name] = { ...api, hostnames: [`${name}.${api.hostnames[0]}`] }
    }
  }
  writeFileSync(path("dagger/config/services.yaml"), yaml.stringify(catalog))
  writeFileSync(path("dagger/config/deploy.yaml"), yaml.stringify(deploy))
  const functions = names.map((name) => {
    const method = name.replace(/-(.)/g, (_, /** @type {string} */ letter) => letter.toUpperCase())
    return `  /** Gates of ${name}. */\n  @func()\n  ${method}(): PythonService {\n    return new PythonService(this.source, "${name}", this.caches)\n  }\n\n`
  })
  const index = readFileSync(path("dagger/src/index.ts"), "utf8")
  const place = "  /** Gates of the pipeline's own source."
  if (!index.includes(place)) throw new Error("dagger/src/index.ts has another form than expected")
  writeFileSync(path("dagger/src/index.ts"), index.replace(place, `${functions.join("")}${place}`))
  return names
}

/** Runs a cluster until the end of this program, and gives each checkout an administrator's kubeconfig for it. */
async function startCluster() {
  const cluster = ["call", "cluster", "--name", "scale"]
  const child = spawn("./daggerw", [...cluster, "serve", "up", "--ports", `${port}:6443`], {
    cwd: checkouts.shipped,
    stdio: "ignore",
  })
  running.push(child)
  const address = Object.values(networkInterfaces())
    .flat()
    .find((one) => one?.family === "IPv4" && !one.internal)?.address
  if (address === undefined) throw new Error("this machine has no address but loopback")
  const forwarder = createServer((socket) => {
    const inner = connect(port, "127.0.0.1")
    socket.pipe(inner).pipe(socket)
    socket.on("error", () => inner.destroy())
    inner.on("error", () => socket.destroy())
  })
  await new Promise((resolve) =>
    forwarder.listen(outerPort, address, () => {
      resolve(undefined)
    }),
  )
  forwarder.unref()
  const server = `https://${address}:${outerPort}`
  const file = join(work, "kubeconfig")
  await succeed(checkouts.shipped, ...cluster, "kubeconfig", "--server", server, "export", "--path", file)
  for (const checkout of Object.values(checkouts)) {
    copyFileSync(file, join(checkout, "kubeconfig"))
    appendFileSync(join(checkout, ".env"), "KUBECONFIG=file://./kubeconfig\n")
  }
  const { clusters, users } = yaml.parse(readFileSync(file, "utf8"))
  // A throw-away cluster's kubeconfig names no certificate authority.
  const rejectUnauthorized = clusters[0].cluster["insecure-skip-tls-verify"] !== true
  const agent = new Agent({ keepAlive: true, maxSockets: 16, rejectUnauthorized })
  /** @param {string} method @param {string} path @param {object} [body] @returns {Promise<number | undefined>} */
  const ask = (method, path, body) =>
    new Promise((resolve, reject) => {
      const headers = { authorization: `Bearer ${users[0].user.token}`, "content-type": "application/json" }
      const asked = request({ host: "127.0.0.1", port, path, method, headers, agent }, (answer) => {
        answer.resume().on("end", () => {
          resolve(answer.statusCode)
        })
      })
      asked.on("error", reject).end(body && JSON.stringify(body))
    })
  for (let tries = 0; ; tries++) {
    if ((await ask("GET", "/readyz").catch(() => undefined)) === 200) return ask
    if (tries > 600 || child.exitCode !== null) throw new Error("the cluster did not start")
    await new Promise((resolve) => setTimeout(resolve, 500))
  }
}

/** Writes the log of deploys that were promoted: three entries each. @param {Awaited<ReturnType<typeof startCluster>>} ask */
async function writeEntries(ask) {
  await ask("POST", "/api/v1/namespaces", { metadata: { name: "f1-staging" } })
  const first = Date.UTC(2026, 0, 1)
  const kinds = ["started", "checked", "promoted"]
  let next = 0
  const write = async () => {
    for (let at = next++; at < entries; at = next++) {
      const kind = kinds[at % kinds.length]
      const began = first + Math.floor(at / kinds.length) * 60_000
      const operation = `${new Date(began).toISOString().slice(0, 19).replaceAll(/[-:]/g, "").replace("T", "-")}-x7k2`
      const contents = {
        schemaVersion: 1,
        at: new Date(began + (at % kinds.length) * 20_000).toISOString(),
        environment: "staging",
        message: kind === "checked" ? "the gates passed" : "deploy of revision 7",
        action: "deploy",
        strategy: "blue-green",
        revision: 7,
        digest: `sha256:${"0123456789abcdef".repeat(4)}`,
        ...(kind === "checked" && { checks: "passed" }),
        kind,
        operation,
        component: { kind: "backend", name: "api" },
      }
      // The log counts entries only under their own names.
      const hash = createHash("sha256").update(JSON.stringify(contents)).digest("hex").slice(0, 8)
      const event = { ...contents, by: "ada" }
      const status = await ask("POST", "/api/v1/namespaces/f1-staging/configmaps", {
        metadata: {
          name: `audit-api-${operation}-${kind}-${hash}`,
          labels: {
            "app.kubernetes.io/name": "api",
            "pitwall.dev/audit": kind,
            "app.kubernetes.io/managed-by": "pitwall",
          },
        },
        immutable: true,
        data: { entry: JSON.stringify(event), by: event.by },
      })
      if (status !== 201) throw new Error(`entry ${at} was answered with ${String(status)}`)
    }
  }
  await Promise.all(Array.from({ length: 16 }, write))
}

const commands = {
  functions: ["functions"],
  "planning ci": ["call", "ci", "--only", "no-such-group"],
  status: ["call", "status", "--env", "staging", "text"],
  history: ["call", "history", "--env", "staging", "text"],
}

/** @param {"shipped" | "scaled"} which @param {string} name @param {string[]} args */
async function timed(which, name, args) {
  const { seconds, status, stdout, stderr } = await call(checkouts[which], ...args)
  const planned = name === "planning ci" && stderr.includes("allowed: ")
  if (status !== 0 && !planned) throw new Error(`${name} ended with ${String(status)}:\n${stderr}`)
  return { seconds, text: stdout + stderr }
}

/** @param {number[]} values */
function summary(values) {
  const sorted = [...values].sort((one, other) => one - other)
  const median = sorted[Math.floor(sorted.length / 2)] ?? NaN
  return { median, text: `${median.toFixed(2)} s (${sorted[0]?.toFixed(2)}–${sorted.at(-1)?.toFixed(2)})` }
}

try {
  const ask = await startCluster()
  /** @type {Record<string, Record<"shipped" | "scaled", number[]>>} */
  const times = Object.fromEntries(Object.keys(commands).map((name) => [name, { shipped: [], scaled: [] }]))
  await ask("POST", "/api/v1/namespaces", { metadata: { name: "f1-staging" } })
  const measure = async (/** @type {"shipped" | "scaled"} */ which) => {
    for (const [name, args] of Object.entries(commands)) {
      const { text } = await timed(which, name, args) // loads the module
      if (which === "scaled" && name !== "history" && !text.includes(scaledServices.at(-1) ?? "")) {
        throw new Error(`${name} does not show the generated services:\n${text}`)
      }
      for (let run = 0; run < runs; run++) times[name]?.[which].push((await timed(which, name, args)).seconds)
    }
  }
  // The log is empty for the first, so they cannot take turns.
  await measure("shipped")
  const started = performance.now()
  await writeEntries(ask)
  console.log(`${entries} entries written in ${((performance.now() - started) / 1000).toFixed(0)} s`)
  await measure("scaled")
  const count = Object.keys(
    yaml.parse(readFileSync(join(repository, "dagger/config/services.yaml"), "utf8")).services,
  ).length
  console.log(
    `command      ${count} services, no entries    ${services} services, ${entries} entries    ratio`,
  )
  for (const [name, { shipped, scaled }] of Object.entries(times)) {
    const [before, after] = [summary(shipped), summary(scaled)]
    console.log(
      `${name.padEnd(13)}${before.text.padEnd(26)}${after.text.padEnd(36)}${(after.median / before.median).toFixed(2)}`,
    )
  }
} finally {
  done()
  running.forEach((child) => child.kill("SIGINT"))
}
