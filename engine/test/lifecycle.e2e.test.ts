/**
 * The life of a local engine: first starts, replacement, signals, leftovers, and a machine that lacks something.
 * Each test has a home of its own and never touches another engine.
 */
import { spawnSync } from "node:child_process"
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs"
import { createServer, type ServerResponse } from "node:http"
import { type AddressInfo, createServer as createSocket } from "node:net"
import { tmpdir } from "node:os"
import { basename, join } from "node:path"
import { afterEach, beforeAll, describe, expect, test } from "vitest"
import { Home, inContainer, label, output, processes, repository, until } from "./home.js"

const isRoot = process.getuid?.() === 0
const homes: Home[] = []

function home(env: NodeJS.ProcessEnv = {}): Home {
  const made = new Home(env)
  homes.push(made)
  return made
}

afterEach(() => {
  for (const made of homes.splice(0)) made.remove()
})

function copyOfCheckout(): string {
  const checkout = mkdtempSync(join(tmpdir(), "pitwall-checkout-"))
  const filter = (path: string) => !path.includes("node_modules")
  for (const part of ["daggerw", "dagger.json", "engine"]) {
    cpSync(join(repository, part), join(checkout, part), { recursive: true, filter })
  }
  return checkout
}

describe.runIf(isRoot)("a local engine", () => {
  test("of two first starts one does the work, the other waits and says so", async () => {
    const h = home()
    const both = await Promise.all([h.launch(["engine", "start"]).ended, h.launch(["engine", "start"]).ended])
    expect(both.map(({ code }) => code)).toEqual([0, 0])
    expect(both.map(({ stderr }) => stderr).join()).toContain(
      "another daggerw is starting the engine, waiting for it",
    )
    expect(new Set(both.map(({ stderr }) => /process (\d+)/.exec(stderr)?.[1])).size).toBe(1)
  })

  test("engines of two homes run side by side", () => {
    const [one, two] = [home(), home()]
    expect(one.echo("one")).toBe("one\n")
    expect(two.echo("two")).toBe("two\n")
    expect(one.instance().pid).not.toBe(two.instance().pid)
    expect(one.daggerw(["engine", "stop"]).status).toBe(0)
    expect(two.running).toBe(true)
    expect(two.echo("still")).toBe("still\n")
  })

  test("a restarted machine: dead process numbers, a stale socket and a left-over control group do not matter", async () => {
    const h = home()
    expect(h.daggerw(["engine", "start"]).status).toBe(0)
    const stale = readFileSync(join(h.dir, "run", "engine.json"), "utf8")
    h.daggerw(["engine", "stop"])
    writeFileSync(join(h.dir, "run", "engine.json"), stale)
    writeFileSync(join(h.dir, "run", "engine.lock"), `${process.pid}\n`)
    const socket = createSocket().listen(join(h.dir, "run", "engine.sock.tmp"))
    await until("the socket is there", () => existsSync(join(h.dir, "run", "engine.sock.tmp")))
    spawnSync("mv", [join(h.dir, "run", "engine.sock.tmp"), join(h.dir, "run", "engine.sock")])
    for (const hierarchy of ["", ...readdirSync("/sys/fs/cgroup")].map((entry) =>
      join("/sys/fs/cgroup", entry),
    )) {
      if (existsSync(join(hierarchy, "cgroup.procs")))
        mkdirSync(join(hierarchy, label(h), "deeper"), { recursive: true })
    }
    expect(h.running, "the live process that has the stale number is not the engine").toBe(false)
    expect(h.echo("again")).toBe("again\n")
    socket.close()
  })

  test("a state folder of an older version is left alone by a start, and removed by prune", () => {
    const h = home()
    const old = join(h.dir, "state", "0000000000000000")
    mkdirSync(old, { recursive: true })
    writeFileSync(join(old, "worker.db"), "of an older engine")
    expect(h.daggerw(["engine", "start"]).status).toBe(0)
    expect(existsSync(old)).toBe(true)
    // The artifacts are the daily home's: what this prune may remove is of this home alone.
    const pruned = h.daggerw(["engine", "prune"], { env: { PITWALL_STORE: join(h.dir, "store") } })
    expect(pruned.status, pruned.stderr).toBe(0)
    expect(existsSync(old)).toBe(false)
    expect(existsSync(h.instance().state)).toBe(true)
    expect(h.echo("on")).toBe("on\n")
  })

  /** A command whose output is another one each time that it runs. */
  const made = (h: Home, word: string) =>
    h.daggerw(inContainer(`sh,-c,echo ${word} $(cat /proc/sys/kernel/random/uuid)`)).stdout
  /** What a statement returns or changes in the database of a home's cache. */
  function inCache(state: string, statement: string): string {
    const script = `import sqlite3, sys
with sqlite3.connect(sys.argv[1], timeout=60) as database:
    done = database.execute(sys.argv[2])
    print(done.rowcount if done.description is None else done.fetchall())`
    return output("python3", "-c", script, join(state, "dagql-cache.db"), statement)
  }

  test("a snapshot that is gone costs what was made from it, and the rest of the cache stays", () => {
    const h = home()
    const [kept, lost] = [made(h, "kept"), made(h, "lost")]
    const { state } = h.instance()
    expect(h.daggerw(["engine", "stop"]).status).toBe(0)
    const changes = inCache(
      state,
      `UPDATE result_snapshot_links SET ref_key = 'gone'
      WHERE result_id IN (SELECT id FROM results WHERE call_frame_json LIKE '%echo lost%')`,
    )
    expect(Number(changes), "snapshots of the command that is to run again").toBeGreaterThan(0)
    expect(made(h, "kept")).toBe(kept)
    expect(made(h, "lost")).toMatch(/^lost [-0-9a-f]+\n$/)
    expect(made(h, "lost")).not.toBe(lost)
  })

  test("a killed engine has its cache again, as it was when it was last idle", async () => {
    const h = home()
    const written = () =>
      readFileSync(join(h.dir, "log/engine.log"), "utf8").match(/msg="the cache was written"/g)?.length ?? 0
    const kept = made(h, "kept")
    await until("the cache is written", () => written() > 0)
    const { state, pid } = h.instance()
    const script = `echo ${h.dir} >/written; while :; do sleep 1; done`
    const cut = h.launch(inContainer(`sh,-c,${script}`))
    await until("the container runs", () => processes(script).some((line) => /^ *\d+ sh -c /.test(line)))
    process.kill(pid, "SIGKILL")
    expect((await cut.ended).code).not.toBe(0)
    expect(h.daggerw(["engine", "start"]).status).toBe(0)
    const boot = "SELECT value FROM meta WHERE key = 'checkpoint_boot'"
    expect(inCache(state, boot), "a cache that nobody could use yet is not tried again").toContain("('',)")
    expect(made(h, "kept")).toBe(kept)

    await until("the cache is written", () => written() > 0)
    expect(made(h, "kept"), "what is written is the whole cache").toBe(kept)
    await until("the cache is written again", () => written() > 1)
    process.kill(h.instance().pid, "SIGKILL")
    const restarted = "UPDATE meta SET value = 'another' WHERE key = 'checkpoint_boot'"
    expect(Number(inCache(state, restarted))).toBe(1)
    expect(made(h, "kept"), "the machine was restarted: what was written may not be on the disk").not.toBe(
      kept,
    )
  })

  test("an engine of other recipes is replaced once its last call has ended", async () => {
    const h = home()
    expect(h.daggerw(["engine", "start"]).status).toBe(0)
    const old = h.instance()
    // It ends when it is told to, which is once the other start waits for it.
    const script = `trap 'echo ${h.dir}; exit' USR1; while :; do sleep 0.2; done`
    const busy = h.launch(inContainer(`sh,-c,${script}`))
    const shell = () => processes(script).find((line) => /^ *\d+ sh -c /.test(line))
    await until("the container runs", () => shell() !== undefined)
    // One more file under engine/: another key, the same artifacts.
    const checkout = copyOfCheckout()
    writeFileSync(join(checkout, "engine", "more.txt"), "another checkout")
    const other = h.launch(["engine", "start"], {}, checkout)
    await until("the other start waits", () => other.stderr().includes("it is in use, waiting"))
    process.kill(Number(shell()?.trim().split(" ")[0]), "SIGUSR1")
    const { code, stderr } = await other.ended
    expect(code, stderr).toBe(0)
    expect((await busy.ended).stdout).toBe(`${h.dir}\n`)
    expect(h.instance().key).not.toBe(old.key)
    expect(h.instance().state, "equal recipes share their state").toBe(old.state)
    rmSync(checkout, { recursive: true })
  })

  test("a dagger.json that pins another version than the engine's modules is refused in plain words", () => {
    const h = home()
    const checkout = copyOfCheckout()
    writeFileSync(join(checkout, "dagger.json"), '{ "engineVersion": "v0.21.7" }')
    const start = spawnSync(join(checkout, "daggerw"), ["engine", "start"], { env: h.env, encoding: "utf8" })
    expect(start.stderr).toContain(
      "dagger.json pins Dagger v0.21.7, and engine/dagger/go.mod has another version",
    )
    expect(start.status).toBe(1)
    rmSync(checkout, { recursive: true })
  })

  test("a container that ignores SIGTERM does not hold up engine stop", async () => {
    const h = home()
    const script = `trap '' TERM; echo ${h.dir}; while :; do sleep 1; done`
    const stubborn = h.launch(inContainer(`sh,-c,${script}`))
    await until("the container runs", () => processes(script).some((line) => /^ *\d+ sh -c /.test(line)))
    const started = Date.now()
    expect(h.daggerw(["engine", "stop"]).status).toBe(0)
    expect((Date.now() - started) / 1000).toBeLessThan(120)
    expect((await stubborn.ended).code).not.toBe(0)
    expect(processes(h.dir).filter((line) => line.includes("trap"))).toEqual([])
  })

  test("Ctrl-C ends the run with its exit code, and not the engine", async () => {
    const h = home()
    expect(h.daggerw(["engine", "start"]).status).toBe(0)
    const run = h.launch(inContainer(`sh,-c,sleep 300; echo ${h.dir}`))
    await until("the container runs", () =>
      processes(`sleep 300; echo ${h.dir}`).some((line) => line.includes("sh -c")),
    )
    process.kill(-(run.child.pid ?? 0), "SIGINT")
    const { code, signal } = await run.ended
    expect(code !== 0 || signal !== null).toBe(true)
    expect(h.running).toBe(true)
    await until(
      "the container has ended",
      () => !processes(`sleep 300; echo ${h.dir}`).some((line) => line.includes("sh -c")),
    )
  })

  test("the values of calls are all that stdout has; exit codes come through", () => {
    const h = home()
    expect(h.echo("value")).toBe("value\n")
    const failing = h.daggerw(inContainer("sh,-c,echo said >&2; exit 42"))
    expect(failing.status).not.toBe(0)
    expect(failing.stdout).toBe("")
    expect(failing.stderr).toContain("exit code: 42")
  })

  test("a secret is in no log, state file or layer", () => {
    const h = home({ PITWALL_TEST_SECRET: `hush-${String(process.pid)}-${String(Date.now())}` })
    const value = String(h.env.PITWALL_TEST_SECRET)
    const harmless = value.replace("hush", "known")
    const [image, command] = [
      inContainer("").slice(0, 5),
      `sh,-c,echo ${harmless} > /known; echo $S | md5sum > /sum; echo it is $S`,
    ]
    const secret = ["with-secret-variable", "--name", "S", "--secret", "env://PITWALL_TEST_SECRET"]
    const call = h.daggerw([...image, ...secret, "with-exec", "--args", command, "stdout"])
    expect(call.stdout).toBe("it is ***\n")
    h.daggerw(["engine", "stop"])
    const filesWith = (text: string) => output("grep", "-rlaF", text, h.dir)
    expect(filesWith(harmless), "what is no secret is found in the layer").not.toBe("")
    expect(filesWith(value)).toBe("")
    expect(call.stderr).not.toContain(value)
  })
})

describe.runIf(isRoot)("a machine that lacks something", () => {
  // The manager is built where there is room.
  beforeAll(() => {
    const h = new Home()
    h.daggerw(["engine", "status"])
    h.remove()
  })

  const daggerw = join(repository, "daggerw")

  /** Runs a shell script in mounts of its own, with $HOME_DIR, $BIN (managers that are built already) and $DAGGERW. */
  const inOwnMounts = (h: Home, script: string, env: NodeJS.ProcessEnv = {}) =>
    spawnSync("unshare", ["--mount", "--propagation", "private", "sh", "-euc", script], {
      encoding: "utf8",
      timeout: 120_000,
      env: { ...h.env, HOME_DIR: h.dir, BIN: realpathSync(join(h.dir, "bin")), DAGGERW: daggerw, ...env },
    })

  test("not root: it says so, and what to do", () => {
    const h = home()
    // A home and a checkout that the user nobody can read.
    const bin = realpathSync(join(h.dir, "bin"))
    rmSync(join(h.dir, "bin"))
    const checkout = copyOfCheckout()
    const script = `cp -r "$BIN" "$HOME_DIR/bin"; chmod -R a+rX "$COPY" "$HOME_DIR"; chown -R 65534 "$HOME_DIR"
      exec setpriv --reuid=65534 --regid=65534 --clear-groups "$COPY/daggerw" engine start`
    const env = { ...h.env, HOME_DIR: h.dir, BIN: bin, COPY: checkout }
    const run = spawnSync("sh", ["-euc", script], { encoding: "utf8", timeout: 60_000, env })
    rmSync(checkout, { recursive: true })
    expect(run.stderr).toMatch(/root: this is user 65534\n.*→ run as root/)
    expect(run.status).toBe(1)
  })

  test("no right to make namespaces: start refuses in plain words, and doctor says the same", () => {
    const h = home()
    const without = ["--bounding-set=-sys_admin", "--inh-caps=-sys_admin", daggerw, "engine"]
    const start = spawnSync("setpriv", [...without, "start"], { encoding: "utf8", env: h.env })
    expect(start.stderr).toMatch(
      /namespaces and overlayfs: namespaces \(mount, pid, net, ipc, uts\): .*not permitted\n.*→ a kernel/,
    )
    expect(start.status).toBe(1)
    const doctor = spawnSync("setpriv", [...without, "doctor"], { encoding: "utf8", env: h.env })
    expect(doctor.stdout).toMatch(/MISSING {2}namespaces and overlayfs/)
    expect(doctor.stdout).toMatch(/ok {7}root/)
    expect(doctor.status).toBe(1)
  })

  test("a home on a file system that overlayfs cannot use: start refuses", () => {
    const run = inOwnMounts(
      home(),
      `mkdir "$HOME_DIR/l" "$HOME_DIR/t"; mount -t tmpfs -o size=16g tmpfs "$HOME_DIR/t"; cd "$HOME_DIR/t"; mkdir u w r
       mount -t overlay -o "lowerdir=$HOME_DIR/l,upperdir=u,workdir=w" overlay r
       mkdir -p r/home; ln -s "$BIN" r/home/bin; PITWALL_MIN_FREE_GB=1 PITWALL_HOME="$PWD/r/home" "$DAGGERW" engine start`,
    )
    expect(run.stderr).toMatch(/namespaces and overlayfs: overlayfs: /)
    expect(run.status).toBe(1)
  })

  test("a disk that is nearly full: start refuses before it writes anything", () => {
    const h = home()
    const run = inOwnMounts(
      h,
      `mkdir "$HOME_DIR/small"; mount -t tmpfs -o size=64m tmpfs "$HOME_DIR/small"; ln -s "$BIN" "$HOME_DIR/small/bin"
       PITWALL_HOME="$HOME_DIR/small" "$DAGGERW" engine start || { ls -A "$HOME_DIR/small"; exit 1; }`,
    )
    expect(run.stderr).toMatch(/disk space: 0 GB are free at .*\/small, 15 GB are needed\n.*→ free some/)
    expect(run.stdout).toBe("bin\n")
    const unreadable = h.daggerw(["engine", "start"], { env: { PITWALL_MIN_FREE_GB: "lots" } })
    expect(unreadable.stderr).toContain(
      'PITWALL_MIN_FREE_GB is "lots": a whole number of gigabytes is allowed',
    )
  })

  test("a disk that is nearly full of another version's cache: start removes that, and says so", () => {
    const run = inOwnMounts(
      home(),
      `mkdir "$HOME_DIR/small"; mount -t tmpfs -o size=64m tmpfs "$HOME_DIR/small"; ln -s "$BIN" "$HOME_DIR/small/bin"
       mkdir -p "$HOME_DIR/small/state/0000000000000000/of-an-older-engine"
       PITWALL_HOME="$HOME_DIR/small" "$DAGGERW" engine start || { ls -A "$HOME_DIR/small/state"; exit 1; }`,
    )
    expect(run.stderr).toMatch(
      /nearly full: removing the cache of another version's engine, .*\/small\/state\/0000000000000000\n/,
    )
    expect(run.stderr).toMatch(/disk space: 0 GB are free at .*\/small, 15 GB are needed\n/)
    expect(run.stdout).toBe("")
  })

  test("a disk that is nearly full of this version's cache: start needs less, as the engine frees its cache", () => {
    const h = home()
    expect(h.daggerw(["engine", "start"]).status).toBe(0)
    const state = basename(h.instance().state)
    h.daggerw(["engine", "stop"])
    const run = inOwnMounts(
      h,
      `mkdir "$HOME_DIR/small"; mount -t tmpfs -o size=64m tmpfs "$HOME_DIR/small"; ln -s "$BIN" "$HOME_DIR/small/bin"
       mkdir -p "$HOME_DIR/small/state/$STATE"
       PITWALL_HOME="$HOME_DIR/small" "$DAGGERW" engine start || { ls -A "$HOME_DIR/small/state"; exit 1; }`,
      { STATE: state },
    )
    expect(run.stderr).toMatch(/disk space: 0 GB are free at .*\/small, 5 GB are needed\n/)
    expect(run.stderr).not.toContain("removing")
    expect(run.stdout).toBe(`${state}\n`)
  })

  /** A module proxy on loopback that answers in its own way, and counts. */
  const withProxy = async (
    answer: (response: ServerResponse) => void,
    use: (address: string, asked: () => number) => Promise<void>,
  ) => {
    let asked = 0
    const server = createServer((_, response) => {
      asked++
      answer(response)
    }).listen(0, "127.0.0.1")
    await new Promise((resolve) => server.once("listening", resolve))
    await use(`http://127.0.0.1:${String((server.address() as AddressInfo).port)}`, () => asked)
    server.closeAllConnections()
    server.close()
  }

  /** A home that shares nothing but the managers with the daily one: everything else would have to be fetched. */
  const bare = (env: NodeJS.ProcessEnv) => {
    const h = home({ ...env, GOFLAGS: "", GONOSUMDB: "*", GONOSUMCHECK: "1", GOSUMDB: "off" })
    rmSync(join(h.dir, "go"))
    h.env.PITWALL_STORE = join(h.dir, "store")
    return h
  }

  test("a registry that refuses is not asked again, and the package is named", async () => {
    await withProxy(
      (response) => response.writeHead(403).end("no"),
      async (address) => {
        const { code, stderr } = await bare({ GOPROXY: address }).launch(["engine", "cli"]).ended
        expect(code).toBe(1)
        expect(stderr).toMatch(/fetching the engine's Go modules: .*\n.*go: .*@v.*403 Forbidden/)
        expect(stderr).not.toContain("trying again")
      },
    )
  })

  test("a registry that falters is asked again with pauses, and then the package is named", async () => {
    await withProxy(
      (response) => response.writeHead(503).end("later"),
      async (address) => {
        const { code, stderr } = await bare({ GOPROXY: address }).launch(["engine", "cli"]).ended
        expect(code).toBe(1)
        expect(stderr.match(/the network or a registry faltered, trying again/g)?.length).toBe(3)
        expect(stderr).toMatch(/go: .*@v.*503 Service Unavailable/)
      },
    )
  })

  test("a supervisor killed while it makes an image: no half-made image is served, the next call makes it", async () => {
    const h = home()
    const store = join(h.dir, "store")
    // The same artifacts, less the images.
    spawnSync("sh", [
      "-euc",
      `mkdir "$1"; cd "$2"; for entry in *; do case $entry in image-*|blobs) ;; *) cp -al "$entry" "$1/";; esac; done`,
      "sh",
      store,
      String(h.env.PITWALL_STORE),
    ])
    h.env.PITWALL_STORE = store
    const first = h.launch(inContainer("echo,first"))
    const half = () => readdirSync(store).find((entry) => /^\.image-.*\.half-/.test(entry))
    await until("an image is being made", () => {
      const folder = existsSync(store) ? half() : undefined
      return folder !== undefined && readdirSync(join(store, folder)).length > 0
    })
    process.kill(h.instance().pid, "SIGKILL")
    const { code, stderr } = await first.ended
    expect(code).not.toBe(0)
    expect(stderr).toContain("the engine has ended, and with it this run")
    expect(readdirSync(store).filter((entry) => entry.startsWith("image-"))).toEqual([])
    expect(h.echo("second")).toBe("second\n")
    expect(readdirSync(store).filter((entry) => entry.startsWith("image-")).length).toBe(1)
  })
})
