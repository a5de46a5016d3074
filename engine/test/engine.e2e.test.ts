import { createHash, randomUUID } from "node:crypto"
import { mkdtemp, readFile, rm } from "node:fs/promises"
import { connect } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import {
  connection,
  type Container,
  dag,
  ExecError,
  type Platform,
  ReturnType,
  type Service,
} from "@dagger.io/dagger"
import { afterAll, aroundAll, beforeAll, describe, expect, it } from "vitest"

const debian = "debian:bookworm-slim"
const node = "node:24-bookworm-slim"
const registry = process.env.PITWALL_TEST_REGISTRY ?? "127.0.0.1:5000"

// Part of every input, so that the engine cannot answer from an earlier run.
const run = randomUUID()

let scratch: string
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), "pitwall-engine-"))
})
afterAll(() => rm(scratch, { recursive: true, force: true }))

aroundAll((runTests) => connection(runTests))

const container = (image = debian, platform?: string): Container =>
  dag
    .container({ platform: platform as Platform | undefined })
    .from(image)
    .withEnvVariable("RUN", run)

const shell = (script: string, image = debian) => container(image).withExec(["sh", "-c", script])

/** Says a word to whoever asks, on port 8080. */
const webService = (word: string, extra = ""): Service =>
  container(node)
    .withExposedPort(8080)
    .asService({
      args: [
        "node",
        "--eval",
        `${extra}; require("http").createServer((_, answer) => answer.end(${JSON.stringify(word)})).listen(8080)`,
      ],
    })

describe("a command in a container", () => {
  it("gives back both of its streams", async () => {
    const done = shell("echo to out; echo to err >&2")
    expect(await done.stdout()).toBe("to out\n")
    expect(await done.stderr()).toBe("to err\n")
  })

  it("that fails says with what, and keeps its output", async () => {
    const error: unknown = await shell("echo out; echo err >&2; exit 3")
      .sync()
      .catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(ExecError)
    expect(error).toMatchObject({ exitCode: 3, stdout: "out", stderr: "err" })
  })

  it("may fail where any exit code is expected, and its container lives on", async () => {
    const failed = container().withExec(["sh", "-c", "echo kept > /report; exit 7"], {
      expect: ReturnType.Any,
    })
    expect(await failed.exitCode()).toBe(7)
    expect(await failed.file("/report").contents()).toBe("kept\n")
  })

  it("finds in a cache volume what another left there", async () => {
    const cached = () => container().withMountedCache("/cache", dag.cacheVolume(`e2e-${run}`))
    await cached()
      .withExec(["sh", "-c", `echo ${run} > /cache/left`])
      .sync()
    expect(await cached().withExec(["cat", "/cache/left"]).stdout()).toBe(`${run}\n`)
  })
})

describe("export to the host", () => {
  it("writes a file", async () => {
    const path = join(scratch, "file")
    await shell(`printf %s ${run} > /made`).file("/made").export(path)
    expect(await readFile(path, "utf8")).toBe(run)
  })

  it("writes a directory", async () => {
    const path = join(scratch, "directory")
    await shell(`mkdir -p /made/in && printf %s ${run} > /made/in/file`).directory("/made").export(path)
    expect(await readFile(join(path, "in/file"), "utf8")).toBe(run)
  })
})

describe("a secret", () => {
  const value = `secret-${randomUUID()}`
  const withSecret = () => container().withSecretVariable("TOKEN", dag.setSecret(`token-${run}`, value))

  it("reaches the command whole", async () => {
    const digest = await withSecret().withExec(["sh", "-c", 'printf %s "$TOKEN" | sha256sum']).stdout()
    expect(digest.split(" ")[0]).toBe(createHash("sha256").update(value).digest("hex"))
  })

  it("is scrubbed from what the command prints", async () => {
    const printed = await withSecret().withExec(["sh", "-c", 'echo "<$TOKEN>"; echo "<$TOKEN>" >&2']).sync()
    expect(await printed.stdout()).toBe("<***>\n")
    expect(await printed.stderr()).toBe("<***>\n")
  })
})

describe("a service", () => {
  it("is reached by name from another container", async () => {
    const answer = await container(node)
      .withServiceBinding("web", webService(run))
      .withExec(["node", "--eval", 'fetch("http://web:8080").then(async (r) => console.log(await r.text()))'])
      .stdout()
    expect(answer).toBe(`${run}\n`)
  })

  it("is reached from the host through a tunnel", async () => {
    const tunnel = await dag
      .host()
      .tunnel(webService(`tunnelled ${run}`))
      .start()
    const response = await fetch(await tunnel.endpoint({ scheme: "http" }))
    expect(await response.text()).toBe(`tunnelled ${run}`)
    await tunnel.stop()
  })

  it("is reached through its tunnel again after it cut connections off", async () => {
    // Cuts off whoever sends more than a line, in the middle of it.
    const rude = `require("net").createServer((client) => {
      client.on("error", () => {})
      client.once("data", (data) => data.length < 100 ? client.end("polite") : client.resetAndDestroy())
    }).listen(8080)`
    const tunnel = await dag
      .host()
      .tunnel(
        container(node)
          .withExposedPort(8080)
          .asService({ args: ["node", "--eval", rude] }),
      )
      .start()
    const { hostname, port } = new URL(await tunnel.endpoint({ scheme: "tcp" }))
    /** Sends bytes, and returns what came back until the other end closed. */
    const send = (bytes: Buffer) =>
      new Promise<string>((resolve) => {
        let answer = ""
        const socket = connect(Number(port), hostname)
        socket.write(bytes)
        socket.on("data", (data) => (answer += data.toString()))
        socket.on("error", () => undefined)
        socket.on("close", () => {
          resolve(answer)
        })
      })
    for (let time = 0; time < 20; time++) {
      expect(await send(Buffer.alloc(4_000_000))).toBe("")
      expect(await send(Buffer.from("please"))).toBe("polite")
    }
    await tunnel.stop()
  })

  it("can be PostgreSQL", async () => {
    const image = "postgres:15-bookworm"
    const database = container(image)
      .withEnvVariable("POSTGRES_PASSWORD", "password")
      .withExposedPort(5432)
      .asService({ useEntrypoint: true })
    const answer = await container(image)
      .withServiceBinding("db", database)
      .withEnvVariable("PGPASSWORD", "password")
      .withExec(["psql", "-h", "db", "-U", "postgres", "-tAc", "show server_version"])
      .stdout()
    expect(answer).toMatch(/^15\./)
  })

  it("can be Redis", async () => {
    const image = "redis:7.0-bookworm"
    const cache = container(image).withExposedPort(6379).asService({ useEntrypoint: true })
    const answer = await container(image)
      .withServiceBinding("cache", cache)
      .withExec(["sh", "-c", "redis-cli -h cache set run $RUN && redis-cli -h cache get run"])
      .stdout()
    expect(answer).toBe(`OK\n${run}\n`)
  })

  it("that ignores SIGTERM can be killed", async () => {
    const service = await webService("still here", 'process.on("SIGTERM", () => {})').start()
    const started = performance.now()
    await service.stop({ kill: true })
    expect(performance.now() - started).toBeLessThan(10_000)
  })
})

describe("an image", () => {
  const machines = { "linux/amd64": "x86_64", "linux/arm64": "aarch64" }
  const built = (platform: string) =>
    container(debian, platform).withExec(["sh", "-c", "uname -m | tee /machine"])

  it.each(Object.entries(machines))("is built by running %s code", async (platform, machine) => {
    expect(await built(platform).stdout()).toBe(`${machine}\n`)
  })

  // What docker-library published as debian:bookworm-slim in June 2026.
  const pinned = `${debian}@sha256:96e378d7e6531ac9a15ad505478fcc2e69f371b10f5cdf87857c4b8188404716`

  it("that is pinned by its digest can be run, and a Dockerfile can build on it", async () => {
    expect(await shell("cat /etc/debian_version", pinned).stdout()).toMatch(/^12\./)
    const folder = dag.directory().withNewFile("Dockerfile", `FROM ${pinned}\nRUN echo ${run} > /run-of`)
    expect(await folder.dockerBuild().file("/run-of").contents()).toBe(`${run}\n`)
  })

  it("that is pinned by a digest which its registry does not have is refused", async () => {
    const address = await container().publish(`${registry}/pitwall-e2e:pinned-${run}`)
    const unknown = address.replace(/[0-9a-f]{64}$/, createHash("sha256").update(run).digest("hex"))
    await expect(shell("true", unknown).sync()).rejects.toThrow(/not found/)
  })

  it("is published for two platforms, and each is pulled again", async () => {
    const address = await dag.container().publish(`${registry}/pitwall-e2e:${run}`, {
      platformVariants: Object.keys(machines).map(built),
    })
    expect(address).toMatch(/@sha256:[0-9a-f]{64}$/)
    for (const [platform, machine] of Object.entries(machines)) {
      const pulled = dag.container({ platform: platform as Platform }).from(address)
      expect(await pulled.file("/machine").contents()).toBe(`${machine}\n`)
    }
  })
})
