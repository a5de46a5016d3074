// Images for two platforms, by the command `build`: each starts on its own platform.
import { describe, expect, it } from "vitest"
import { daggerw } from "./daggerw.js"

const call = (...args: string[]) => daggerw(["--progress", "plain", "call", ...args]).ended
const both = ["--platform", "linux/amd64", "--platform", "linux/arm64"]

describe("images for two platforms", { timeout: 30 * 60_000 }, () => {
  it("are built, and each starts on its own", async () => {
    const { code, stdout, stderr } = await call("build", ...both, "--only", "web")
    expect(code, stderr.slice(-4_000)).toBe(0)
    expect(stdout).toMatch(/^web +linux\/amd64 +ready +[\d.]+ s$/m)
    expect(stdout).toMatch(/^web +linux\/arm64 +ready +[\d.]+ s$/m)
  })

  it("are no others", async () => {
    const { code, stderr } = await call("build", "--platform", "linux/riscv64")
    expect(code).not.toBe(0)
    expect(stderr).toContain(
      'there are no images for the platform "linux/riscv64"; allowed: linux/amd64, linux/arm64',
    )
  })
})
