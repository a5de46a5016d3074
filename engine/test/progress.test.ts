import { spawn, spawnSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import xterm from "@xterm/headless"
import { afterAll, describe, expect, it, vi } from "vitest"

vi.setConfig({ testTimeout: 60_000 })

const repository = join(import.meta.dirname, "../..")
const views = join(repository, "scripts/progress")
const awks = [["awk"], ["mawk"], ["gawk"], ["gawk", "--posix"], ["original-awk"], ["busybox", "awk"]].filter(
  ([name = ""]) => !spawnSync(name, ["--help"]).error,
)
const scratch = mkdtempSync(join(tmpdir(), "progress-"))
afterAll(() => {
  rmSync(scratch, { recursive: true, force: true })
})

/** A second that passed, on a terminal of a size. */
const tick = (second: number, rows = "", columns = "") =>
  `\u0001${second} ${rows} ${columns}`.replace(/ +$/, "")

interface Options {
  view?: "lines" | "live"
  variables?: Record<string, string>
  call?: string
}

/** The arguments and environment that show a view with some awk. */
function command(flags: string[], { view = "lines", variables = {}, call = "call ci" }: Options) {
  const set = Object.entries({ file: "/the/log", began: "1000", ...variables })
  return {
    args: [
      ...flags.filter(Boolean),
      ...set.flatMap(([name, value]) => ["-v", `${name}=${value}`]),
      ...["-f", join(views, "read.awk"), "-f", join(views, `${view}.awk`)],
    ],
    env: { ...process.env, LC_ALL: "C", DAGGERW_CALL: call },
  }
}

describe.each(awks)("the view of lines in %s %s", (name = "", ...flags) => {
  function shown(lines: string[], variables: Record<string, string> = {}, call = "call ci") {
    const { args, env } = command(flags, { variables, call })
    const { stdout, stderr, status } = spawnSync(name, args, {
      input: `${lines.join("\n")}\n`,
      encoding: "utf8",
      env,
    })
    expect({ stderr, status }).toEqual({ stderr: "", status: 0 })
    return stdout.trimEnd().split("\n")
  }
  const log = "daggerw: the full log is /the/log"

  it("shows what the module reports, and not what a container prints", () => {
    expect(
      shown([
        "9   : Pitwall.ci(",
        "9   : ): String!",
        "9   : [0.4s] | [pitwall] api:lint passed 1.0 s",
        "746 : ┆ [3m17s] | [pitwall] api:test passed 0.1 s",
        "746 : ┆ [3m17s] | Error: not ours",
        "1234: [1h2m3s] | [pitwall] api:test failed 9.9 s: 1 of 20",
        "9   : Pitwall.ci DONE [6.4s]",
      ]),
    ).toEqual(["api:lint passed 1.0 s", "api:test failed 9.9 s: 1 of 20", log])
  })

  it("ends with what the client of a container runtime said, if the engine does not start", () => {
    expect(
      shown([
        "3   : ┆ ┆ exec docker pull registry.dagger.io/engine:v0.21.8",
        "4   : ┆ ┆ exec docker ps -a",
        "3   : ┆ ┆ [0.2s] | Error response from daemon: no such host",
        "3   : ┆ ┆ exec docker pull registry.dagger.io/engine:v0.21.8 ERROR [0.2s]",
        "4   : ┆ ┆ [0.2s] | dagger-engine-v0.21.7",
        "Error: start engine: failed to pull image: exit status 1",
      ]),
    ).toEqual([
      log,
      "Error: start engine: failed to pull image: exit status 1",
      "Error response from daemon: no such host",
    ])
  })

  it("says which versions do not fit", () => {
    expect(
      shown(["Error: incompatible engine version v0.18.0 [traceparent:0a-1b]"], { version: "v0.21.8" }),
    ).toEqual([
      log,
      "Error: the engine is Dagger v0.18.0, and dagger.json pins v0.21.8: use an engine of that version. Docker's is replaced by `docker rm -fv dagger-engine-v0.21.8; docker rmi registry.dagger.io/engine:v0.21.8` and the command again",
    ])
  })

  it("counts the gates that passed at once, and gives one reason for many skips", () => {
    const reason = "no vulnerability database (tried registry.local/trivy-db:2)"
    expect(
      shown([
        "9   : [0.4s] | [pitwall] plan 6",
        ...["api:lint", "api:image", "api:test"].map((gate) => `9   : [0.4s] | [pitwall] run ${gate}`),
        "9   : [0.4s] | [pitwall] api:lint passed in 12.0 s (remembered)",
        "9   : [0.4s] | [pitwall] api:image passed in 25 ms",
        "9   : [0.4s] | [pitwall] api:test failed in 12.0 s: 1 of 20",
        `9   : [0.4s] | [pitwall] api:scan skipped: ${reason}`,
        `9   : [0.4s] | [pitwall] web:scan skipped: ${reason}; secrets in`,
        "9   : [0.4s] | [pitwall] api:coverage skipped: needs api:test, which did not pass",
        tick(1031),
      ]),
    ).toEqual([
      "api:test failed in 12.0 s: 1 of 20",
      `api:scan skipped: ${reason}`,
      "api:coverage skipped: needs api:test, which did not pass",
      "daggerw: 31s, 6 of 6 gates done, 1 failed",
      "daggerw: 2 of 6 gates passed at once: unchanged since an earlier run, or quick",
      log,
    ])
  })

  it("shows each check with its outcome", () => {
    expect(
      shown([
        "427 : pitwall:api:format",
        "429 : ┆ PitwallPythonService.format DONE [2.0s]",
        "427 : pitwall:api:format DONE [5.5s]",
        "428 : pitwall:api:lint CACHED [0.0s]",
        "430 : pitwall:f-1-backend:test ERROR [1m5.2s]",
        "430 : ! api:test failed",
        "tests/test_a.py:1: no",
        "",
        "431 : checks ERROR [1m5.2s]",
      ]),
    ).toEqual([
      "api:format passed 5.5s",
      "api:lint passed 0.0s",
      "f-1-backend:test failed 1m5.2s",
      log,
      "Error: api:test failed",
      "tests/test_a.py:1: no",
    ])
  })

  it("shows where services are published, and how to sign in", () => {
    const files = {
      catalog: join(repository, "dagger/config/services.yaml"),
      logins: join(repository, "dagger/src/platform/platform.ts"),
    }
    expect(
      shown(
        [
          '10  : [0.1s] | 06:49:48 INF tunnel started port=8081 protocol=tcp http_url=http://localhost:8081 description="x"',
        ],
        files,
        "up",
      ),
    ).toEqual(["ready: http://localhost:8081  f1-frontend", "Ctrl-C stops it.", log])
    expect(
      shown(
        [
          "11  : ┆ ready http://localhost:8000 http://localhost:8001 http://localhost:8080",
          "11  : ┆ ready http://localhost:8000 http://localhost:8001 http://localhost:8080 DONE [0.0s]",
        ],
        files,
        "--progress plain up",
      ),
    ).toEqual([
      "ready: http://localhost:8000  api",
      "ready: http://localhost:8001  f1-backend",
      "ready: http://localhost:8080  web",
      "Sign in to api and web as editor with the password throw-away-password.",
      "Ctrl-C stops them.",
      log,
    ])
    // What a function serves on the same ports is something else.
    expect(
      shown(["11  : ┆ ready http://localhost:6443 http://localhost:8080"], files, "call cluster serve up"),
    ).toEqual(["ready: localhost:6443", "ready: localhost:8080", "Ctrl-C stops them.", log])
  })

  it("shows why a check was skipped, although it succeeds for Dagger", () => {
    expect(
      shown(
        [
          "519 : pitwall:f-1-backend:scan",
          "521 : ┆ [1.1s] | [pitwall] run f1-backend:scan",
          "521 : ┆ [2.0s] | [pitwall] f1-backend:scan skipped: no database; secrets: none",
          "519 : pitwall:f-1-backend:scan DONE [5.6s]",
          "520 : pitwall:api:scan DONE [5.6s]",
        ],
        {},
        "check *:scan",
      ),
    ).toEqual(["f-1-backend:scan skipped: no database; secrets: none", "api:scan passed 5.6s", log])
  })

  it("is silent while published services run and nothing else starts", () => {
    expect(
      shown(
        [
          tick(1010),
          "11  : ┆ ready http://localhost:8000",
          "12  : ┆ withExec seed DONE [3.0s]",
          tick(1050),
          tick(1090),
          tick(9000),
        ],
        {},
        "up",
      ),
    ).toEqual(["ready: http://localhost:8000", "Ctrl-C stops it.", "daggerw: 50s, 1 step done", log])
  })

  it("shows the error once, last, without what is for machines", () => {
    expect(
      shown([
        "9   : Pitwall.ci ERROR [1.4s]",
        "9   : ! not every gate passed",
        "",
        "Error: a line of a message in the tree",
        "8   : connect DONE [1.4s]",
        "",
        "Error: not every gate passed",
        "",
        "GATE  OUTCOME",
        "12: a line of a gate's output",
        "the cause [traceparent:65a409876cd4eb766cc4df2fbc03b0f7-18b2ea600b5b1815]",
      ]),
    ).toEqual([
      log,
      "Error: not every gate passed",
      "",
      "GATE  OUTCOME",
      "12: a line of a gate's output",
      "the cause",
    ])
  })

  it("ends with the place of a fault in the module's source", () => {
    const failure = [
      "6   : ┆ loading type definitions ERROR [2.5s]",
      "",
      "Error: failed to load the module: exit code: 1",
    ]
    expect(
      shown([
        '20  : ┆ ┆ [0.3s] | ✘ [ERROR] Expected "}" but found end of file',
        "20  : ┆ ┆ [0.3s] | ",
        "20  : ┆ ┆ [0.3s] |     src/lib/text.ts:103:0:",
        "20  : ┆ ┆ [0.3s] |       103 │ ",
        ...failure,
      ]).at(-1),
    ).toBe('Error: dagger/src/lib/text.ts:103: Expected "}" but found end of file')
    expect(shown([...failure, "/src/dagger/src/lib/text.ts:7:4: ERROR: Unexpected end of file"]).at(-1)).toBe(
      "Error: dagger/src/lib/text.ts:7: Unexpected end of file",
    )
    expect(
      shown([
        "9   : [0.4s] | [pitwall] run api:test",
        "20  : ┆ ┆ [0.3s] | /services/src/a.ts:7:4: ERROR: Unexpected end of file",
        "Error: not every gate passed",
      ]).at(-1),
    ).toBe("Error: not every gate passed")
  })

  it("names this project's command in the hint of a usage error, before the error", () => {
    expect(
      shown([
        '06:47:09 INF dagger call parse schema summary reason=remaining_args error="unknown"',
        'Error: unknown command "revert" for "dagger call" [traceparent:97011a0b-e888]',
        "Run 'dagger call --help' for usage.",
      ]),
    ).toEqual([
      log,
      "Run './daggerw call --help' for usage.",
      'Error: unknown command "revert" for "dagger call"',
    ])
  })

  it("shows what the engine's manager and programs outside the tree say, without the CLI's records", () => {
    expect(
      shown([
        "pitwall: making node:24-bookworm-slim (amd64), once",
        '2026/11/28 09:55:08 WARN failed to parse git remote URL err="invalid endpoint: /work"',
        'user default: pitwall(registry="ghcr.io/owner/repository")',
        "",
        "Cannot connect to the Docker daemon",
        "9   : ┆ ! exit code: 1",
        "a second line of that",
      ]),
    ).toEqual([
      "pitwall: making node:24-bookworm-slim (amd64), once",
      "Cannot connect to the Docker daemon",
      log,
    ])
  })

  it("shows the making of images that this call needs, and not that for other calls", () => {
    expect(
      shown([
        "1   : connect DONE [0.0s]",
        "pitwall: making traefik:v3.5.3 (amd64), once",
        '14  : ┆ Container.from(address: "node:24-bookworm-slim"): Container!',
        "pitwall: making node:24-bookworm-slim (amd64), once",
        "pitwall: making traefik:v3.5.3 (amd64): 30s",
        '15  : ┆ Directory.dockerBuild(dockerfile: "api/Dockerfile"): Container!',
        "pitwall: making python:3.12-slim (amd64), once",
        "15  : ┆ Directory.dockerBuild DONE [3.0s]",
        "pitwall: making python:3.12-slim (amd64): 30s",
      ]),
    ).toEqual([
      "pitwall: making node:24-bookworm-slim (amd64), once",
      "pitwall: making python:3.12-slim (amd64), once",
      log,
    ])
  })

  it("gives a sign of life after every 30 seconds without a line", () => {
    expect(
      shown([
        tick(1005),
        "12  : withExec npm ci --no-audit",
        "12  : Container.withExec DONE [3.0s]",
        // A type that the engine's progress does not know.
        "15  : ┆ Missing.port: Int!",
        tick(1029),
        tick(1030),
        "13  : ┆ withExec sleep 100",
        "14  : ┆ ┆ File.contents: String!",
        tick(1055),
        "9   : [55s] | [pitwall] api:lint passed 1.0 s",
        tick(1060),
        tick(1084),
        tick(1085),
        tick(1115),
      ]),
    ).toEqual([
      "daggerw: 30s, 1 step done, last started: withExec npm ci --no-audit",
      "api:lint passed 1.0 s",
      "daggerw: 1m25s, 1 step done, running: withExec sleep 100 55s",
      "daggerw: 1m55s, 1 step done, running: withExec sleep 100 1m25s",
      log,
    ])
  })

  it("names the gates that run with their elapsed time and the median of earlier runs", () => {
    const times = join(scratch, `times-${name}-${flags.join("")}`)
    writeFileSync(times, "30 api:test\n900 api:test\n32 api:test\n5 api:lint\n")
    expect(
      shown(
        [
          tick(1010),
          "9   : [10s] | [pitwall] run api:test",
          "9   : [10s] | [pitwall] run api:lint",
          tick(1020),
          "9   : [20s] | [pitwall] run web:test",
          "9   : [20s] | [pitwall] api:lint passed in 10.0 s",
          tick(1050),
          "9   : [50s] | [pitwall] api:test passed in 32.0 s (remembered)",
          "9   : [50s] | [pitwall] web:test failed in 30.0 s: 1 of 20",
          tick(1085),
        ],
        { times },
      ),
    ).toEqual([
      "api:lint passed in 10.0 s",
      "daggerw: 50s, 0 steps done, running: api:test 40s (usually 32s), web:test 30s",
      "web:test failed in 30.0 s: 1 of 20",
      "daggerw: 1m25s, 0 steps done, 1 failed",
      "daggerw: 1 gate passed at once: unchanged since an earlier run, or quick",
      log,
    ])
    // Neither a failure nor a pass of an earlier run says how long a gate takes.
    expect(readFileSync(times, "utf8").trimEnd().split("\n").slice(4)).toEqual(["10 api:lint"])
  })

  it("reads a line that a tick was written into", () => {
    expect(shown([`9   : [0.4s] | [pitwall] api:${tick(1031)}`, "lint passed 1.0 s"])).toEqual([
      "daggerw: 31s, 0 steps done",
      "api:lint passed 1.0 s",
      log,
    ])
  })
})

/** Writes bytes on the screen of a terminal, and returns its lines without those that are empty at the end. */
async function screen(bytes: string, rows: number, columns: number, before = "") {
  const terminal = new xterm.Terminal({ rows, cols: columns, allowProposedApi: true, convertEol: true })
  const write = (text: string) =>
    new Promise<void>((resolve) => {
      terminal.write(text, resolve)
    })
  await write(before)
  await write(bytes)
  const buffer = terminal.buffer.active
  const lines = Array.from({ length: rows }, (_, row) =>
    (buffer.getLine(buffer.viewportY + row)?.translateToString(true) ?? "").trimEnd(),
  )
  while (lines.at(-1) === "") lines.pop()
  return { lines, alternate: buffer.type === "alternate", terminal, write }
}

describe.each(awks)("the live view in %s %s", (name = "", ...flags) => {
  /** What it draws while a call runs, and what it prints when the call has ended. */
  function drawn(lines: string[], variables: Record<string, string> = {}, call = "call ci") {
    const { args, env } = command(flags, { view: "live", variables, call })
    const { stdout, stderr, status } = spawnSync(name, args, {
      input: `${lines.join("\n")}\n`,
      encoding: "utf8",
      env,
    })
    expect({ stderr, status }).toEqual({ stderr: "", status: 0 })
    const end = stdout.lastIndexOf("\u001b[H\u001b[J")
    return { running: stdout.slice(0, end), all: stdout }
  }

  const run = [
    tick(1001, "24", "80"),
    "9   : [1s] | [pitwall] plan 9",
    ...["api:lint", "api:test", "web:test", "api:image"].map((gate) => `9   : [1s] | [pitwall] run ${gate}`),
    "9   : [1s] | [pitwall] api:image passed in 25 ms",
    tick(1011, "24", "80"),
    "9   : [11s] | [pitwall] api:lint failed in 10.0 s: src/a.py:1:1: F401 'os' imported but unused",
    "9   : [11s] | [pitwall] run web:lint",
    "9   : [12s] | [pitwall] web:lint passed in 1.0 s",
    "9   : [12s] | [pitwall] web:scan skipped: no vulnerability database",
    tick(1032, "24", "80"),
  ]
  const times = () => {
    const file = join(scratch, `live-${name}-${flags.join("")}`)
    writeFileSync(file, "95 api:test\n")
    return file
  }

  it("shows running gates with their usual time, then failures with their first line, then what ended", async () => {
    const { running } = drawn(run, { times: times() })
    const { lines, alternate } = await screen(running, 24, 80)
    expect(alternate).toBe(true)
    expect(lines).toEqual([
      "32s, 4 of 9 gates done, 1 failed, 2 running   daggerw call ci",
      "running  api:test      31s of usually 1m35s",
      "running  web:test      31s",
      "failed   api:lint  10.0 s: src/a.py:1:1: F401 'os' imported but unused",
      "",
      "passed   web:lint  1.0 s",
      "skipped  web:scan  no vulnerability database",
      "",
      "Full log: /the/log",
    ])
  })

  it("gives the terminal back as it was, and names the log and the error", async () => {
    const { all } = drawn([...run, "9   : [40s] | [pitwall] 3 objects created", "Error: api:lint failed"])
    const { lines, alternate, terminal } = await screen(all, 24, 80, "$ ./daggerw call ci\n")
    expect(alternate).toBe(false)
    expect(terminal.modes.wraparoundMode).toBe(true)
    expect(all.lastIndexOf("\u001b[?25h")).toBeGreaterThan(all.lastIndexOf("\u001b[?25l"))
    expect(lines).toEqual([
      "$ ./daggerw call ci",
      "3 objects created",
      "daggerw: 32s, 4 of 9 gates done, 1 failed",
      "daggerw: the full log is /the/log",
      "Error: api:lint failed",
    ])
  })

  it.each([
    [1, 80],
    [2, 20],
    [5, 40],
    [9, 59],
    [24, 10],
    [24, 200],
  ])("fits on %d rows of %d columns", async (rows, columns) => {
    const size = { rows: String(rows), columns: String(columns) }
    const many = Array.from({ length: 30 }, (_, gate) => `9   : [1s] | [pitwall] run api:gate-${gate}`)
    const failed = Array.from(
      { length: 10 },
      (_, gate) => `9   : [9s] | [pitwall] api:gate-${gate} failed in 9.0 s: ${"表示 é ".repeat(30)}`,
    )
    const { running } = drawn(
      [...many, ...failed, tick(1009, size.rows, size.columns), ...failed].slice(0, -10),
      size,
    )
    // A frame begins at the top; one that did not fit would have scrolled its first line away.
    const { lines, terminal } = await screen(running, rows, columns)
    expect(terminal.buffer.active.baseY).toBe(0)
    expect(lines.length).toBeLessThanOrEqual(rows)
    expect(lines[0]).toMatch(columns < 20 ? /^9s, 0 s\.\.\.$/ : /^9s, 0 steps done/)
    if (rows >= 5 && columns >= 20) {
      expect(lines[1]).toMatch(/^running {2}api:gate-1/)
      expect(lines.at(-1)).toMatch(/^Full log/)
      expect(lines.filter((line) => line.startsWith("failed")).length).toBeGreaterThan(0)
    }
  })

  it("draws wide characters in their two columns, and nothing that moves the cursor", async () => {
    const { running } = drawn(
      [
        "9   : [1s] | [pitwall] run api:test",
        "9   : [1s] | [pitwall] api:test failed in 3.0 s: 期待値 🏎️ \u001b[2Jé\u0007\u001b]0;title\u0007 x",
        tick(1002, "10", "44"),
      ],
      { rows: "10", columns: "44" },
    )
    const { lines } = await screen(running, 10, 44)
    expect(lines[1]).toMatch(/^failed {3}api:test {2}3\.0 s: 期待値 🏎\uFE0F? é\]0;t\.\.\.$/u)
  })

  it("fits again after the window became smaller, without wrapped leftovers", async () => {
    const { running } = drawn(run.slice(0, -1))
    const shown = await screen(running, 24, 80)
    shown.terminal.resize(30, 8)
    const { running: after } = drawn([...run.slice(0, -1), tick(1032, "8", "30")])
    await shown.write(after.slice(after.lastIndexOf("\u001b[H")))
    const lines = Array.from({ length: 8 }, (_, row) =>
      (shown.terminal.buffer.active.getLine(row)?.translateToString(true, 0, 30) ?? "").trimEnd(),
    )
    expect(lines).toEqual([
      "32s, 4 of 9 gates done, 1 f...",
      "running  api:test  31s",
      "running  web:test  31s",
      "failed   api:lint  10.0 s: ...",
      "",
      "passed   web:lint  1.0 s",
      "skipped  web:scan  no vulne...",
      "Full log: /the/log",
    ])
  })

  it("uses colours only where they are wanted", () => {
    for (const colour of ["0", "1", "31", "33"]) expect(drawn(run).all).not.toContain(`\u001b[${colour}m`)
    expect(drawn(run, { colours: "yes" }).all).toContain("\u001b[31mfailed   api:lint")
  })

  it("ends when services are published, so that their addresses stay", async () => {
    const { running } = drawn(
      [tick(1001), "11  : ┆ ready http://localhost:8000", tick(1002), tick(1090)],
      {},
      "up",
    )
    expect(running).not.toContain("ready")
    const { all } = drawn(
      [tick(1001), "11  : ┆ ready http://localhost:8000", tick(1002), tick(1090)],
      {},
      "up",
    )
    const { lines, alternate } = await screen(all, 24, 80)
    expect(alternate).toBe(false)
    expect(lines.slice(0, 2)).toEqual(["ready: http://localhost:8000", "Ctrl-C stops it."])
  })

  it("draws while the call runs, not only when it has ended", async () => {
    const { args, env } = command(
      name === "mawk" || name === "awk" ? ["-W", "interactive", ...flags] : flags,
      {
        view: "live",
      },
    )
    const child = spawn(name, args, { env })
    let bytes = ""
    const seen = new Promise<void>((resolve) => {
      child.stdout.on("data", (chunk: Buffer) => {
        bytes += chunk.toString()
        if (bytes.includes("running  api:test")) resolve()
      })
    })
    child.stdin.write(`9   : [1s] | [pitwall] run api:test\n${tick(1002)}\n`)
    await seen
    child.stdin.end()
  })
})
