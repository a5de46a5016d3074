/**
 * daggerw with a real Docker and a real Podman, on a throw-away machine that has nothing else. The engine's image and the
 * CLI are those that engine/ builds; the checkout there pins that CLI, so daggerw verifies it as it does the official one.
 */
import { spawnSync } from "node:child_process"
import { createHash } from "node:crypto"
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { homedir, tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, onTestFinished, test } from "vitest"
import { copyOfTheRepository, outcomes } from "../../dagger/test/e2e/daggerw.js"
import { ContainerHost, rootFilesystem, type Running, unsupported } from "./container-host/host.js"
import { serveStore } from "./container-host/registry.js"
import { inContainer, repository, until } from "./home.js"

const reason = unsupported()
if (reason !== undefined) console.log(`Docker and Podman are not tested: the throw-away machine ${reason}`)

const cache = join(process.env.PITWALL_HOME ?? join(homedir(), ".cache/pitwall-test"), "container-host")
const store = process.env.PITWALL_STORE ?? join(homedir(), ".cache/pitwall/store")
const { engineVersion: version } = JSON.parse(readFileSync(join(repository, "dagger.json"), "utf8")) as {
  engineVersion: string
}
const image = `registry.dagger.io/engine:${version}`
const container = `dagger-engine-${version}`
/** The base images of the SDK and of the gates that run here. */
const baseImages = [
  ...["node:24-bookworm-slim", "python:3.11-slim-bookworm", "postgres:15-bookworm", "redis:7.0-bookworm"],
  ...["debian:bookworm-slim"],
]

/** Runs daggerw here, with the local engine. */
function locally(...args: string[]): string {
  const env = { ...process.env, DAGGERW_ENGINE: "local", DAGGER_SESSION_PORT: undefined }
  const { status, stdout, stderr } = spawnSync("./daggerw", args, { cwd: repository, encoding: "utf8", env })
  if (status !== 0) throw new Error(`daggerw ${args.join(" ")}:\n${stderr}`)
  return stdout.trim()
}

/** A copy of the checkout that pins another CLI. */
async function checkoutThatPins(cli: string): Promise<string> {
  const copy = await copyOfTheRepository()
  const sums = join(copy, "dagger.sums")
  const digest = createHash("sha256").update(readFileSync(cli)).digest("hex")
  const program = `dagger_${version}_linux_amd64`
  const text = readFileSync(sums, "utf8")
  const changed = text.replace(new RegExp(`^[0-9a-f]{64}  ${program}$`, "m"), `${digest}  ${program}`)
  if (changed === text) throw new Error(`dagger.sums does not pin ${program}`)
  writeFileSync(sums, changed)
  return copy
}

/** What the machine of a killed test run leaves: its folder, and its control groups. */
const leftovers = [join(tmpdir(), "pitwall-host-killed"), "/sys/fs/cgroup/pids/pitwall-host-killed/docker"]
function leaveBehind() {
  for (const folder of leftovers) mkdirSync(folder, { recursive: true })
  // No process has this number.
  writeFileSync(join(leftovers[0] ?? "", "owner"), "4194305")
}

let host: ContainerHost
let missing: Set<string>
/** Undoes what the suite has made so far, also when its start fails half-way. */
const undo: (() => void | Promise<void>)[] = []

describe.skipIf(reason !== undefined)("a machine with Docker and Podman", () => {
  beforeAll(async () => {
    undo.push(() => {
      rmSync(cache, { recursive: true, force: true })
    })
    const root = rootFilesystem(cache, store)
    const archive = join(cache, "engine.tar")
    locally("engine", "image", archive)
    const cli = locally("engine", "cli")
    const served = await serveStore(store)
    undo.push(() => {
      served.server.closeAllConnections()
      served.server.close()
    })
    for (const name of baseImages) {
      if (!served.has(name)) locally("core", "container", "from", "--address", name, "sync")
    }
    leaveBehind()
    missing = served.missing
    // The machine reaches this one's loopback at 10.0.2.2.
    const mirror = `10.0.2.2:${served.port}`
    const registries = Object.fromEntries(
      ["docker.io", "ghcr.io", "quay.io"].map((name) => [name, { mirrors: [mirror] }]),
    )
    host = await ContainerHost.boot(root, await checkoutThatPins(cli), {
      "root/.config/dagger/engine.json": {
        text: JSON.stringify({ registries: { ...registries, [mirror]: { http: true } } }),
      },
      "usr/local/bin/dagger": { program: cli },
      "srv/engine.tar": { program: archive },
    })
    undo.push(() => host.end())
  })

  afterAll(async () => {
    for (const step of undo.reverse()) await step()
  })

  const processes = () => host.run("ps -eo args=").stdout
  const lastLine = (text: string) => text.trim().split("\n").at(-1) ?? ""
  /** Removes the engine's container, with its cache. */
  const removeEngine = (runtime = "docker") => host.run(`${runtime} rm -fv ${container}`)

  test("what a killed run left is removed, and this machine has none of it", () => {
    expect(leftovers.filter((folder) => existsSync(folder))).toEqual([])
    expect(processes().trim().split("\n")[0]).toBe("tini -- sleep infinity")
    // Nothing of the machine outside: no socket, and no network device.
    expect(existsSync("/run/pitwall-host")).toBe(false)
    expect(host.run("ip -o link show type bridge").stdout).toBe("")
  })

  describe("Docker", () => {
    beforeAll(async () => {
      await host.startDocker()
      const loaded = host.run("docker load --quiet --input /srv/engine.tar")
      expect(loaded.stdout, loaded.stderr).toBe(`Loaded image: ${image}\n`)
    })

    test("is what the CLI names as its engine", () => {
      const { stdout, stderr } = host.run("./daggerw version")
      expect(stdout, stderr).toBe(`dagger ${version} (image://${image}) linux/amd64\n`)
    })

    test("a CLI that dagger.sums does not pin is never run", () => {
      const { stdout, stderr, status } = host.run(
        `git_sums=$(cat dagger.sums); sed -i 's/^[0-9a-f]*  \\(dagger_${version}_linux_amd64\\)$/0123  \\1/' dagger.sums
         DAGGERW_ENGINE=system ./daggerw version; code=$?; printf '%s\\n' "$git_sums" >dagger.sums; exit $code`,
      )
      expect(stdout).toBe("")
      expect(stderr).toContain(`/usr/local/bin/dagger is not the Dagger CLI ${version} that dagger.sums pins`)
      expect(status).toBe(1)
    })

    test("runs the engine in a container, which stays and is used again", () => {
      const first = host.run("./daggerw core version")
      expect(first.stdout, first.stderr).toBe(version)
      const id = () => host.run(`docker container inspect --format '{{.ID}}' ${container}`).stdout
      const before = id()
      expect(host.run("./daggerw core version").stdout).toBe(version)
      expect(before).toMatch(/^[0-9a-f]{64}\n$/)
      expect(id()).toBe(before)
    })

    test("passes the gates of a service", async () => {
      const { code, stdout, stderr } = await host.start("exec ./daggerw call ci --only servicekit").ended
      expect(code, stderr.slice(-4000)).toBe(0)
      expect(new Set(Object.values(outcomes(stdout)))).toEqual(new Set(["passed"]))
      expect(Object.keys(outcomes(stdout))).toContain("servicekit:test")
      expect(stderr).not.toContain("[pitwall]")
      expect([...missing]).toEqual([])
    })

    test("serves on localhost until Ctrl-C, which leaves the engine and nothing else", async () => {
      const served = host.start("exec ./daggerw up api:serve")
      onTestFinished(() => {
        const { exitCode, signalCode } = served.child
        if (exitCode === null && signalCode === null) served.interrupt("SIGKILL")
      })
      const serves = () => {
        if (served.child.exitCode !== null) throw new Error(served.output().slice(-4000))
        return served.output().includes("ready: ")
      }
      await until("it says where it serves", serves, 30 * 60)
      const answer = host.run(
        "curl --silent --fail --retry 5 --retry-all-errors http://localhost:8000/health/live",
      )
      expect(answer.status, answer.stderr + served.output()).toBe(0)
      served.interrupt("SIGINT")
      const { seconds } = await served.ended
      expect(seconds).toBeGreaterThan(0)
      await until(
        "nothing is left",
        () => !/daggerw|dagger up|dial-stdio|progress\.awk|uvicorn/.test(processes()),
      )
      expect(host.run("curl --silent --max-time 5 http://localhost:8000/").status).toBe(7)
      expect(host.run("docker ps --format '{{.Names}}'").stdout).toBe(`${container}\n`)
    })

    /** Replaces the engine's image by one with these Dockerfile lines on top. */
    const spoilImage = (...lines: string[]) => {
      removeEngine()
      const file = [`FROM ${image}-good`, ...lines].join("\n")
      const built = host.run(
        `docker tag ${image} ${image}-good && echo '${file}' | docker build --quiet --tag ${image} -`,
      )
      expect(built.status, built.stderr).toBe(0)
    }
    const restoreImage = () => {
      removeEngine()
      host.run(`docker tag ${image}-good ${image}`)
    }

    describe("an engine that does not run", () => {
      afterEach(restoreImage)

      test("because it ends again and again: says so within seconds, with its own last words", async () => {
        spoilImage(`ENTRYPOINT ["sh", "-c", "echo no space for the cache >&2; exit 3"]`)
        const { code, stderr, seconds } = await host.start("exec ./daggerw functions").ended
        // Docker tells the exit code only between two starts.
        expect(lastLine(stderr)).toMatch(
          new RegExp(
            `^daggerw: the engine's container ${container} starts and ends again and again( \\(exit code 3\\))?\\. ` +
              `When the cause is gone, run \`docker rm -fv ${container}\` and the command again$`,
          ),
        )
        expect(stderr).toContain(`the last lines of docker logs ${container}:\n  no space for the cache\n`)
        expect(code).not.toBe(0)
        expect(seconds).toBeLessThan(60)
      })

      test("because Docker cannot start it: gives Docker's reason", async () => {
        spoilImage(`ENTRYPOINT ["/usr/local/bin/nothing"]`)
        const { code, stderr, seconds } = await host.start("exec ./daggerw call ci").ended
        expect(lastLine(stderr)).toMatch(
          /^daggerw: docker cannot start the engine's container \S+: .*\/usr\/local\/bin\/nothing.*no such file/,
        )
        expect(code).not.toBe(0)
        expect(seconds).toBeLessThan(60)
      })

      test("because it is paused: says how to go on", async () => {
        expect(host.run("./daggerw core version").stdout).toBe(version)
        host.run(`docker pause ${container}`)
        const { stderr, seconds } = await host.start("exec ./daggerw functions").ended
        host.run(`docker unpause ${container}`)
        expect(lastLine(stderr)).toBe(
          `daggerw: the engine's container ${container} is paused: run \`docker unpause ${container}\` and the command again`,
        )
        expect(seconds).toBeLessThan(60)
      })

      test("because its image cannot be pulled: gives Docker's reason", async () => {
        host.run(`docker tag ${image} ${image}-good; docker rmi ${image}`)
        const { code, stderr } = await host.start("exec ./daggerw call ci").ended
        expect(lastLine(stderr)).toMatch(/Error response from daemon: .*registry\.dagger\.io/)
        expect(code).not.toBe(0)
      })
    })

    test("an engine of another version than the CLI: names both, and what to do", async () => {
      spoilImage("ENV _EXPERIMENTAL_DAGGER_VERSION=v0.18.0")
      const { code, stderr } = await host.start("exec ./daggerw call ci").ended
      restoreImage()
      expect(lastLine(stderr)).toMatch(/v0\.18\.0/)
      expect(lastLine(stderr)).toContain(version)
      expect(code).not.toBe(0)
    })

    describe("during a run", () => {
      let running: Running
      beforeEach(async () => {
        running = host.start(`exec ./daggerw ${inContainer("sleep,1000").join(" ")}`)
        await until("the container runs", () => {
          if (running.child.exitCode !== null) throw new Error(running.output().slice(-3000))
          return /^sleep 1000$/m.test(processes())
        })
      })

      test("Docker stops: the run ends and says so, and the next one works", async () => {
        await host.stopDocker()
        const began = Date.now()
        const { code, stderr } = await running.ended
        expect(lastLine(stderr)).toBe(
          "daggerw: docker has stopped, and with it the engine and this run: start docker and run the command again",
        )
        expect(code).not.toBe(0)
        expect(Date.now() - began).toBeLessThan(60_000)
        expect(processes()).not.toMatch(/daggerw|dial-stdio/)
        await host.startDocker()
        expect(host.run("./daggerw core version").stdout).toBe(version)
      })

      test("the engine is killed: the run ends and says so, and the next one works", async () => {
        await until(
          "the run is not at its start",
          () => Number(host.run("ps -C dagger -o etimes=").stdout) > 20,
        )
        host.run("pkill -KILL -x dagger-engine")
        const { code, stderr } = await running.ended
        expect(lastLine(stderr)).toBe(
          `daggerw: the engine's container ${container} ended during the run, and docker restarted it: run the command again`,
        )
        expect(code).not.toBe(0)
        expect(host.run("./daggerw core version").stdout).toBe(version)
      })
    })
  })

  describe("Podman", () => {
    beforeAll(async () => {
      await host.stopDocker()
      const loaded = host.run("podman load --quiet --input /srv/engine.tar")
      expect(loaded.stdout, loaded.stderr).toContain(image)
    })

    test("is chosen where Docker is installed and does not answer", () => {
      const { stdout, stderr } = host.run("./daggerw version")
      expect(stdout, stderr).toBe(`dagger ${version} (image+podman://${image}) linux/amd64\n`)
    })

    test("runs the engine in a container, and containers in that", async () => {
      const first = host.run("./daggerw core version")
      expect(first.stdout, first.stderr.slice(-3000)).toBe(version)
      const echo = await host.start(`exec ./daggerw ${inContainer("echo,hello").join(" ")}`).ended
      expect(echo.stdout, echo.stderr.slice(-3000)).toBe("hello\n")
      expect(host.run("podman ps --format '{{.Names}}'").stdout).toBe(`${container}\n`)
    })

    test("passes a gate", async () => {
      const { code, stdout, stderr } = await host.start("exec ./daggerw check servicekit:lint").ended
      expect(code, `${stdout}${stderr.slice(-3000)}`).toBe(0)
    })

    test("cannot start the engine: gives the reason", async () => {
      removeEngine("podman")
      const file = [`FROM ${image}`, `ENTRYPOINT ["sh", "-c", "echo no space for the cache >&2; exit 3"]`]
      const built = host.run(
        `podman tag ${image} ${image}-good && echo '${file.join("\n")}' | podman build --quiet --tag ${image} -`,
      )
      expect(built.status, built.stderr).toBe(0)
      const { code, stderr, seconds } = await host.start("exec ./daggerw functions").ended
      removeEngine("podman")
      host.run(`podman tag ${image}-good ${image}`)
      // Podman, too, tells the exit code only between two starts.
      expect(lastLine(stderr)).toMatch(
        new RegExp(
          `^daggerw: the engine's container ${container} ` +
            `(starts and ends again and again( \\(exit code 3\\))?|does not run \\(it is \\w+, exit code 3\\))\\. ` +
            `When the cause is gone, run \`podman rm -fv ${container}\` and the command again$`,
        ),
      )
      expect(stderr).toContain(`podman logs ${container}:\n  no space for the cache\n`)
      expect(code).not.toBe(0)
      expect(seconds).toBeLessThan(60)
    })

    test("Docker is chosen where both answer", async () => {
      await host.startDocker()
      expect(host.run("./daggerw version").stdout).toContain("(image://")
      await host.stopDocker()
    })
  })
})
