import { describe, expect, it } from "vitest"
import type { Gate } from "../../src/ci/runner/gate.js"
import { runGate } from "../../src/ci/runner/run.js"
import { ConfigurationError } from "../../src/lib/document.js"

const noPause = () => Promise.resolve()
const gate = (parts: Partial<Gate>): Gate => ({
  name: "security:sast",
  subject: "code",
  prepare: () => Promise.resolve(),
  execute: () => Promise.resolve({}),
  ...parts,
})

describe("runGate", () => {
  const mistake = () => Promise.reject(new ConfigurationError("dagger/config/security.yaml:3: ignores: no"))

  it.each([
    ["while it is prepared", { prepare: mistake }],
    ["while it runs", { execute: mistake }],
  ])("does not try again after a mistake in a file, %s", async (_, parts) => {
    const { verdict } = await runGate(gate(parts), noPause)
    expect(verdict).toMatchObject({
      outcome: "could not run",
      output: "dagger/config/security.yaml:3: ignores: no",
      retries: [],
    })
  })

  it("tries again after a failure of the infrastructure", async () => {
    let tries = 0
    const flaky = () => (++tries < 3 ? Promise.reject(new Error("registry: 503")) : Promise.resolve({}))
    const { verdict } = await runGate(gate({ execute: flaky }), noPause)
    expect(verdict).toMatchObject({ outcome: "passed", retries: ["registry: 503", "registry: 503"] })
  })

  it("names files as the repository does", async () => {
    const { verdict } = await runGate(
      gate({ folder: "services/api", execute: () => Promise.reject(new Error("src/a.py:1: no")) }),
      noPause,
    )
    expect(verdict.output).toBe("services/api/src/a.py:1: no")
  })
})
