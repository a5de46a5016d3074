/**
 * A throw-away Debian machine with Docker and Podman, in namespaces of its own: its processes, mounts, network and
 * sockets are invisible outside and end with this process.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { createHash } from "node:crypto"
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from "node:fs"
import { tmpdir } from "node:os"
import { basename, dirname, join } from "node:path"
import { until } from "../home.js"

const folder = import.meta.dirname
/** The paths of a folder's entries whose name starts and ends so. */
const entries = (folder: string, start = "", end = "") =>
  existsSync(folder)
    ? readdirSync(folder)
        .filter((name) => name.startsWith(start) && name.endsWith(end))
        .map((name) => join(folder, name))
    : []

const packages = [
  ...["docker.io", "podman", "containernetworking-plugins", "crun", "iptables", "slirp4netns", "iproute2"],
  ...["ca-certificates", "curl", "jq", "libcap2-bin", "procps", "tini"],
]
/** The machine's name, and the first part of the names of its folder and control groups. */
const prefix = "pitwall-host-"

export interface Ended {
  code: number | null
  signal: NodeJS.Signals | null
  stdout: string
  stderr: string
  seconds: number
}

export interface Running {
  child: ChildProcess
  /** Everything that it has written so far. */
  output: () => string
  ended: Promise<Ended>
  /** Sends a signal to it and all that it started, as a terminal does. */
  interrupt: (signal: NodeJS.Signals) => void
}

/** Why such a machine cannot run here; undefined if it can. */
export function unsupported(): string | undefined {
  if (process.platform !== "linux" || process.arch !== "x64") return "needs Linux on amd64"
  if (process.getuid?.() !== 0) return "needs root"
  if (!existsSync("/etc/debian_version")) return "needs Debian's or Ubuntu's packages of Docker and Podman"
  const missing = ["apt-get", "perl", "setpriv", "unshare", "nsenter"].filter(
    (program) => spawnSync("sh", ["-c", `command -v ${program}`]).status !== 0,
  )
  return missing.length > 0 ? `needs ${missing.join(", ")}` : undefined
}

/**
 * Makes the machine's root filesystem from Debian packages, unless it was made before.
 *
 * @param cache the folder that keeps it
 * @param store the folder of the local engine's artifacts, which has mmdebstrap
 * @throws Error if a package cannot be installed
 */
export function rootFilesystem(cache: string, store: string): string {
  const suite = /^VERSION_CODENAME=(\w+)/m.exec(readFileSync("/etc/os-release", "utf8"))?.[1] ?? "stable"
  const key = createHash("sha256")
    .update([suite, ...packages].join())
    .digest("hex")
    .slice(0, 16)
  const root = join(cache, `root-${key}`)
  if (existsSync(root)) return root
  rmSync(cache, { recursive: true, force: true })
  mkdirSync(cache, { recursive: true })
  const tool = spawnSync("sh", ["-c", "command -v mmdebstrap"], { encoding: "utf8" }).stdout.trim()
  const script = [
    tool,
    ...entries(store, "mmdebstrap-").map((made) => join(made, "usr/bin/mmdebstrap")),
  ].find((file) => file && existsSync(file))
  if (script === undefined) throw new Error("mmdebstrap is missing: start the local engine once")
  const sources = [
    ...entries("/etc/apt", "sources.list", "sources.list"),
    ...[".list", ".sources"].flatMap((end) => entries("/etc/apt/sources.list.d", "", end)),
  ]
  const half = `${root}.half`
  const made = spawnSync(
    "unshare",
    [
      ...["--mount", "perl", script, "--mode=root", "--variant=minbase", "--skip=check/qemu"],
      ...[`--include=${packages.join(",")}`, suite, half, ...sources],
    ],
    { encoding: "utf8", env: { ...process.env, TMPDIR: cache, LC_ALL: "C" } },
  )
  if (made.status !== 0)
    throw new Error(`Docker and Podman cannot be installed:\n${made.stderr.slice(-3000)}`)
  renameSync(half, root)
  return root
}

const lives = (pid: number) => existsSync(`/proc/${pid}`)

/** The control groups of a name, in each hierarchy. */
const controlGroups = (name: string) =>
  ["/sys/fs/cgroup", ...entries("/sys/fs/cgroup")]
    .map((hierarchy) => join(hierarchy, name))
    .filter((group) => existsSync(join(group, "cgroup.procs")))

function removeGroup(group: string): void {
  for (const entry of readdirSync(group, { withFileTypes: true }))
    if (entry.isDirectory()) removeGroup(join(group, entry.name))
  rmdirSync(group)
}

/** Removes the folder and the control groups of a machine that has ended. */
async function remove(scratch: string): Promise<void> {
  for (const group of controlGroups(basename(scratch))) {
    await until(`the control group ${group} is empty`, () => {
      try {
        removeGroup(group)
        return true
      } catch {
        return false // the kernel needs a moment for the last processes
      }
    })
  }
  rmSync(scratch, { recursive: true, force: true })
}

/** Removes what machines of killed test runs have left. */
async function removeLeftovers(): Promise<void> {
  for (const scratch of entries(tmpdir(), prefix)) {
    const owner = join(scratch, "owner")
    if (!existsSync(owner) || !lives(Number(readFileSync(owner, "utf8")))) await remove(scratch)
  }
}

export class ContainerHost {
  #dockerd: Running | undefined

  private constructor(
    private readonly scratch: string,
    private readonly boot: ChildProcess,
    private readonly network: ChildProcess,
    /** The process outside that is the machine's first. */
    readonly pid: number,
  ) {}

  /**
   * Boots a machine on a root filesystem.
   *
   * @param files files to add: path in the machine → text, or the path of a file to copy as a program
   */
  static async boot(
    root: string,
    checkout: string,
    files: Record<string, { text: string } | { program: string }>,
  ): Promise<ContainerHost> {
    await removeLeftovers()
    const scratch = mkdtempSync(join(tmpdir(), prefix))
    writeFileSync(join(scratch, "owner"), String(process.pid))
    for (const part of ["work", "root", "upper"]) mkdirSync(join(scratch, part))
    renameSync(checkout, join(scratch, "checkout"))
    const all = {
      "etc/resolv.conf": { text: "nameserver 10.0.2.3\n" },
      "etc/hosts": { text: `127.0.0.1 localhost ${basename(scratch)}\n` },
      "usr/local/sbin/runc-bounded": { program: join(folder, "runc-bounded") },
      ...files,
    }
    for (const [path, content] of Object.entries(all)) {
      const to = join(scratch, "upper", path)
      mkdirSync(dirname(to), { recursive: true })
      if ("text" in content) writeFileSync(to, content.text)
      else copyFileSync(content.program, to)
      if ("program" in content) chmodSync(to, 0o755)
    }
    // The kernel kills it when this process ends for any reason.
    const ending = ["--pdeathsig", "KILL"]
    const boot = spawn(
      "setpriv",
      [...ending, "sh", join(folder, "boot.sh"), root, scratch, basename(scratch)],
      { stdio: ["ignore", "ignore", "pipe"] },
    )
    let complaint = ""
    boot.stderr.on("data", (chunk: Buffer) => (complaint += chunk.toString()))
    const first = () =>
      Number(
        spawnSync("pgrep", ["--parent", String(boot.pid), "--exact", "tini"], { encoding: "utf8" }).stdout,
      )
    await until("the machine has booted", () => {
      if (boot.exitCode !== null) throw new Error(`the machine does not boot: ${complaint}`)
      return first() > 0
    })
    const pid = first()
    const network = spawn(
      "setpriv",
      [
        ...[...ending, "unshare", "--mount", "--propagation", "private", "sh", "-euc"],
        `mount --bind /proc "$1/proc"; mount --rbind /dev "$1/dev"; mount --bind /etc/resolv.conf "$1/etc/resolv.conf"
         exec chroot "$1" slirp4netns --configure --mtu=65520 "$2" tap0`,
        ...["sh", root, String(pid)],
      ],
      { stdio: "ignore" },
    )
    const host = new ContainerHost(scratch, boot, network, pid)
    await until("the machine has a network", () =>
      host.run("ip addr show tap0").stdout.includes("10.0.2.100"),
    )
    return host
  }

  #enter(script: string): string[] {
    return [
      ...["-t", String(this.pid), "-m", "-n", "-p", "-i", "-u", "-C", "-r", "-w", "env", "-i", "HOME=/root"],
      ...["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "sh", "-c"],
      `cd /checkout && ${script}`,
    ]
  }

  /** Runs a shell script in the machine, in the checkout. This process waits, so its servers do not answer meanwhile. */
  run(script: string) {
    return spawnSync("nsenter", this.#enter(script), {
      encoding: "utf8",
      timeout: 600_000,
      maxBuffer: 64 << 20,
    })
  }

  /** Starts a shell script in the machine and lets it run. */
  start(script: string): Running {
    const began = Date.now()
    const child = spawn("nsenter", this.#enter(script), {
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
    })
    let stdout = ""
    let stderr = ""
    child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()))
    child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()))
    const ended = new Promise<Ended>((resolve, reject) => {
      child.on("error", reject)
      child.on("close", (code, signal) => {
        resolve({ code, signal, stdout, stderr, seconds: (Date.now() - began) / 1000 })
      })
    })
    const interrupt = (signal: NodeJS.Signals) => process.kill(-Number(child.pid), signal)
    return { child, ended, interrupt, output: () => stdout + stderr }
  }

  /**
   * Starts Docker.
   *
   * @param options.runtime what runs its containers: `bounded` takes capabilities away that the machine lacks
   */
  async startDocker({ runtime = "bounded" } = {}): Promise<void> {
    this.#dockerd = this.start(
      `exec dockerd --pidfile /run/dockerd.pid --add-runtime bounded=/usr/local/sbin/runc-bounded --default-runtime ${runtime}`,
    )
    const { child, output } = this.#dockerd
    await until("Docker answers", () => {
      if (child.exitCode !== null) throw new Error(`dockerd has ended:\n${output().slice(-3000)}`)
      return this.run("docker version").status === 0
    })
  }

  /** Stops Docker, with its containers. */
  async stopDocker(): Promise<void> {
    this.run("kill $(cat /run/dockerd.pid)")
    await this.#dockerd?.ended
    this.#dockerd = undefined
  }

  /** Ends all its processes and removes what it wrote. */
  async end(): Promise<void> {
    for (const child of [this.boot, this.network]) {
      const gone = new Promise((resolve) => child.once("close", resolve))
      child.kill("SIGKILL")
      if (child.exitCode === null && child.signalCode === null) await gone
    }
    await until("its processes have ended", () => !lives(this.pid))
    await remove(this.scratch)
  }
}
