import { spawnSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { expect, it } from "vitest"
import { refuseLoggedErrors } from "../../src/ci/gates/security.js"

const time = "2026-11-28T10:00:01Z"

// The very command, on logs as Trivy writes them.
it.each([
  ["", 0],
  [`${time}\tINFO\t[secret] Secret scanning is enabled\n`, 0],
  [`${time}\tWARN\t[pip] Unable to find python site-packages\tERROR\n`, 0],
  [
    `${time}\tINFO\tNumber of files\tnum=3\n${time}\tERROR\t[misconf] Failed to parse file\tpath="a.yaml"\n`,
    1,
  ],
  [`${time}\tFATAL\tFatal error\tinit error\n`, 1],
])("a scanner that logs %j ends with %i", (log, code) => {
  const folder = mkdtempSync(join(tmpdir(), "scanner-"))
  try {
    const file = join(folder, "log")
    writeFileSync(file, log)
    const { status, stderr } = spawnSync("sh", ["-ec", refuseLoggedErrors.replace("/gate/log", file)], {
      encoding: "utf8",
    })
    expect(status).toBe(code)
    expect(stderr).toBe(code === 0 ? "" : (log.split("\n").at(-2) ?? "") + "\n")
  } finally {
    rmSync(folder, { recursive: true })
  }
})
