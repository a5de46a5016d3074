import { describe, expect, it } from "vitest"
import { isNetworkError, classifyFailure } from "../../src/ci/runner/verdict.js"

describe("classifyFailure", () => {
  it.each([1, 2, 125, 193, 255])("reads exit code %i as a finding about the source", (exitCode) => {
    const verdict = classifyFailure({ message: "exit", exitCode, stdout: "a.ts(1,1): error\n", stderr: "" })
    expect(verdict).toEqual({ outcome: "failed", output: "a.ts(1,1): error" })
  })

  it.each([
    [126, "not executable"],
    [127, "not found"],
    [137, "killed, as when memory runs out"],
    [139, "crashed"],
    [192, "killed by the last signal"],
  ])("reads exit code %i (%s) as the pipeline's own failure", (exitCode) => {
    const verdict = classifyFailure({ message: "exit", exitCode, stderr: "npm: not found" })
    expect(verdict.outcome).toBe("could not run")
    expect(verdict.output).toBe(`npm: not found\nThe command ended with exit code ${exitCode}.`)
  })

  it("blames the pipeline when the command never ran", () => {
    expect(classifyFailure({ message: "pull access denied" })).toEqual({
      outcome: "could not run",
      output: "pull access denied",
    })
  })

  it("blames the pipeline when the engine does not know an exit code", () => {
    expect(classifyFailure({ message: "lost connection", exitCode: -1 }).outcome).toBe("could not run")
  })

  it("keeps both streams, and falls back to the message when both are empty", () => {
    const failure = { message: "exit code: 1", exitCode: 1 }
    expect(classifyFailure({ ...failure, stdout: "out\n", stderr: "err\n" }).output).toBe("out\nerr")
    expect(classifyFailure({ ...failure, stdout: " \n", stderr: "" }).output).toBe("exit code: 1")
  })
})

describe("isNetworkError", () => {
  it.each([
    [
      "apt",
      "W: Failed to fetch http://apt.example.org/debian/InRelease  Temporary failure resolving 'apt.example.org'",
    ],
    [
      "pip",
      "WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError('<pip._vendor.urllib3>: Failed to establish a new connection: [Errno -3] Temporary failure in name resolution')': /simple/black/",
    ],
    ["npm", "npm error code EAI_AGAIN\nnpm error request to https://npm.example.org/react failed"],
    ["go", "dial tcp: lookup go.example.org on 192.0.2.3:53: no such host"],
    ["a cut line", "curl: (56) Recv failure: Connection reset by peer"],
  ])("is what %s says without a network", (_, output) => {
    expect(isNetworkError(output)).toBe(true)
  })

  it.each([
    "ERROR: Could not find a version that satisfies the requirement blak==1 (from versions: none)",
    "npm error code E404\nnpm error 404 Not Found - GET https://npm.example.org/reactt",
    "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.",
    "exit code: 3",
  ])("is not what is the source's own: %s", (output) => {
    expect(isNetworkError(output)).toBe(false)
  })
})
