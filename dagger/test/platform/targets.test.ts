import { describe, expect, it } from "vitest"
import { readTargets } from "../../src/platform/targets.js"

describe("the platforms that a command names", () => {
  it("are each taken once", () => {
    expect(readTargets(["linux/arm64", "linux/amd64", "linux/arm64"])).toEqual(["linux/arm64", "linux/amd64"])
    expect(readTargets([])).toEqual([])
  })

  it.each(["linux/riscv64", "arm64", "linux/arm64,linux/amd64", ""])("are no others, such as %j", (name) => {
    expect(() => readTargets([name])).toThrow(
      `there are no images for the platform "${name}"; allowed: linux/amd64, linux/arm64`,
    )
  })
})
