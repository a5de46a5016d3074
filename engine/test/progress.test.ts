import { spawnSync } from "node:child_process"
import { join } from "node:path"
import { describe, expect, it } from "vitest"

const program = join(import.meta.dirname, "../../scripts/progress.awk")
const awks = [["awk"], ["mawk"], ["gawk"], ["gawk", "--posix"], ["original-awk"], ["busybox", "awk"]].filter(
  ([name = ""]) => !spawnSync(name, ["--help"]).error,
)

describe.each(awks)("progress.awk in %s %s", (name = "", ...flags) => {
  function shown(lines: string[], began = 1000) {
    const args = [
      ...flags.filter(Boolean),
      "-v",
      "file=/the/log",
      "-v",
      `began=${began}`,
      "-v",
      "version=v0.21.8",
      "-f",
      program,
    ]
    const { stdout, stderr, status } = spawnSync(name, args, {
      input: `${lines.join("\n")}\n`,
      encoding: "utf8",
    })
    expect({ stderr, status }).toEqual({ stderr: "", status: 0 })
    return stdout.trimEnd().split("\n")
  }
  const log = "daggerw: the full log is /the/log"
  const tick = (second: number) => `\u0001${second}`

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
    expect(shown(["Error: incompatible engine version v0.18.0 [traceparent:0a-1b]"])).toEqual([
      log,
      "Error: the engine is Dagger v0.18.0, and dagger.json pins v0.21.8: use an engine of that version. Docker's is replaced by `docker rm -fv dagger-engine-v0.21.8; docker rmi registry.dagger.io/engine:v0.21.8` and the command again",
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

  it("shows where services are published", () => {
    expect(
      shown([
        '10  : [0.1s] | 06:49:48 INF tunnel started port=80 protocol=tcp http_url=http://localhost:80 description="x"',
        "11  : ┆ ready http://localhost:8000 http://localhost:8001",
        "11  : ┆ ready http://localhost:8000 http://localhost:8001 DONE [0.0s]",
      ]),
    ).toEqual(["ready: http://localhost:80", "ready: http://localhost:8000 http://localhost:8001", log])
  })

  it("is silent while published services run and nothing else starts", () => {
    expect(
      shown([
        tick(1010),
        "11  : ┆ ready http://localhost:8000",
        "12  : ┆ withExec seed DONE [3.0s]",
        tick(1050),
        tick(1090),
        tick(9000),
      ]),
    ).toEqual(["ready: http://localhost:8000", "daggerw: 50s, 1 steps done", log])
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

  it("shows what the engine's manager and programs outside the tree say", () => {
    expect(
      shown([
        "pitwall: making node:24-bookworm-slim (amd64), once",
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

  it("gives a sign of life after every 30 seconds without a line", () => {
    expect(
      shown([
        tick(1005),
        "12  : withExec npm ci --no-audit",
        "12  : withExec npm ci --no-audit DONE [3.0s]",
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
      "daggerw: 30s, 1 steps done, last started: withExec npm ci --no-audit",
      "api:lint passed 1.0 s",
      "daggerw: 1m25s, 1 steps done, last started: withExec sleep 100",
      "daggerw: 1m55s, 1 steps done, last started: withExec sleep 100",
      log,
    ])
  })

  it("names the steps that run, with their elapsed and usual time", () => {
    expect(
      shown([
        tick(1010),
        "9   : [10s] | [pitwall] run api:test 32.4",
        "9   : [10s] | [pitwall] run api:lint 1.2",
        tick(1020),
        "9   : [20s] | [pitwall] run web:test",
        "9   : [20s] | [pitwall] api:lint passed 1.0 s",
        tick(1050),
        "9   : [50s] | [pitwall] api:test passed 32.0 s",
        "9   : [50s] | [pitwall] web:test failed 30.0 s: 1 of 20",
        tick(1085),
      ]),
    ).toEqual([
      "api:lint passed 1.0 s",
      "daggerw: 50s, running: api:test 40s (usually 32s), web:test 30s",
      "api:test passed 32.0 s",
      "web:test failed 30.0 s: 1 of 20",
      "daggerw: 1m25s, 0 steps done",
      log,
    ])
  })

  it("reads a line that a tick was written into", () => {
    expect(shown([`9   : [0.4s] | [pitwall] api:${tick(1031)}`, "lint passed 1.0 s"])).toEqual([
      "daggerw: 31s, 0 steps done",
      "api:lint passed 1.0 s",
      log,
    ])
  })
})
