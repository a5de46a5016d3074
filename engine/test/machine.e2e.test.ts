/**
 * A local engine leaves no trace on the machine, neither while it runs nor after it was stopped or killed. The tests
 * compare the machine before and after, so nothing else may run beside them.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync } from "node:fs"
import { join } from "node:path"
import { afterEach, describe, expect, test } from "vitest"
import { Home, inContainer, label, output, processes, repository, until } from "./home.js"

const homes: Home[] = []

function home(): Home {
  const made = new Home()
  homes.push(made)
  return made
}

afterEach(() => {
  for (const made of homes.splice(0)) made.remove()
})

/** What an engine could change of the machine beyond its folder. */
function machine(): Record<string, string> {
  return {
    resolver: readFileSync("/etc/resolv.conf", "utf8"),
    hosts: readFileSync("/etc/hosts", "utf8"),
    programs: output(
      "sh",
      "-c",
      "ls -la --time-style=full-iso /etc /etc/alternatives /usr/sbin /usr/bin | sha256sum",
    ),
    links: output("ip", "-o", "link").replace(/qdisc.*$/gm, ""),
    routes: output("ip", "route", "show", "table", "all"),
    forwarding: readFileSync("/proc/sys/net/ipv4/ip_forward", "utf8"),
    packetFilter: output(
      "sh",
      "-c",
      "iptables-save 2>/dev/null | grep -v '^#'; cat /proc/net/ip_tables_names 2>/dev/null",
    ),
    listening: output("ss", "-Hltn"),
    mounts: readFileSync("/proc/self/mounts", "utf8"),
    formats: output("sh", "-c", "ls /proc/sys/fs/binfmt_misc"),
  }
}

const pids = (text: string) => processes(text).map((line) => Number(line.trim().split(" ")[0]))
const parent = (pid: number) => Number(output("ps", "-o", "ppid=", "-p", String(pid)))
/** The pid namespace of a process; of its own for a process that is gone. */
const namespace = (pid: number) => output("readlink", `/proc/${String(pid)}/ns/pid`) || `gone ${String(pid)}`

/** The control groups of this home's engine. */
const groups = (h: Home) =>
  ["", ...readdirSync("/sys/fs/cgroup")]
    .map((entry) => join("/sys/fs/cgroup", entry, label(h)))
    .filter((path) => existsSync(path))

describe.runIf(process.getuid?.() === 0)("a local engine", () => {
  test("leaves the machine as it was, while it runs and after it stops", () => {
    const h = home()
    const before = machine()
    expect(h.echo("hello")).toBe("hello\n")

    expect(machine()).toEqual(before)
    expect(groups(h), "its control groups are the one thing that shows while it runs").not.toEqual([])
    expect(statSync(join(h.dir, "run")).mode & 0o077, "others may look into run/").toBe(0)

    const { pid, sandbox } = h.instance()
    expect(h.daggerw(["engine", "stop"]).status).toBe(0)
    expect(machine()).toEqual(before)
    expect(groups(h)).toEqual([])
    expect([pid, sandbox].filter((process) => existsSync(`/proc/${String(process)}`))).toEqual([])
    expect(processes(h.dir)).toEqual([])
    expect(h.running).toBe(false)
  })

  test("arm64 programs run under QEMU, and the kernel's entry for them goes with the engine", () => {
    // The kernel has one entry for all engines, and that of the tests may have made it.
    if (process.env.PITWALL_HOME !== undefined) output(join(repository, "daggerw"), "engine", "stop")
    const h = home()
    const [core = "", container = "", ...rest] = inContainer("uname,-m")
    const table = () =>
      output(
        "unshare",
        "--mount",
        "sh",
        "-euc",
        'mount -t binfmt_misc none "$0"; ls "$0"',
        join(h.dir, "trial"),
      ).split("\n")
    mkdirSync(join(h.dir, "trial"))
    expect(table()).not.toContain(label(h))
    expect(
      h.daggerw([core, container, "--platform", "linux/arm64", ...rest], { timeout: 1_200_000 }).stdout,
    ).toBe("aarch64\n")
    expect(table()).toContain(label(h))
    h.daggerw(["engine", "stop"])
    expect(table()).toContain("register")
    expect(table()).not.toContain(label(h))
  }, 1_200_000)

  test.each([
    [
      "the engine",
      (h: Home) => pids("dagger-engine").filter((pid) => namespace(pid) === namespace(h.instance().sandbox)),
    ],
    ["the first process of its sandbox", (h: Home) => [h.instance().sandbox]],
    ["its supervisor", (h: Home) => [h.instance().pid]],
    ["its network", (h: Home) => pids("slirp4netns").filter((pid) => parent(pid) === h.instance().pid)],
  ])("%s killed with -9: nothing stays behind, and the next call works", async (_, victims) => {
    const h = home()
    const before = machine()
    expect(h.echo("before")).toBe("before\n")
    const { pid, sandbox } = h.instance()
    const killed = victims(h)
    expect(killed).not.toEqual([])
    for (const victim of killed) process.kill(victim, "SIGKILL")
    await until(
      "all its processes are gone",
      () => !existsSync(`/proc/${String(pid)}`) && !existsSync(`/proc/${String(sandbox)}`),
    )
    expect(h.running).toBe(false)
    expect(h.echo("after")).toBe("after\n")
    h.daggerw(["engine", "stop"])
    expect(machine()).toEqual(before)
    expect(groups(h)).toEqual([])
  })
})
