import { ExecError } from "@dagger.io/dagger"
import { describe, expect, it } from "vitest"
import { BuildFailed, explainedBuild } from "../../src/platform/build-failure.js"

const file = "services/api/Dockerfile"
const text = "FROM python:3.11-slim\nRUN make all\n"

describe("explainedBuild", () => {
  it("ends with the line of the command that failed, behind what it printed", () => {
    const error = new ExecError("exit code: 2 [traceparent:0a-1b]", {
      cmd: ["/bin/sh", "-c", "make all"],
      exitCode: 2,
      stdout: "compiling",
      stderr: "no rule for all",
    })
    const explained = explainedBuild(error, file, text)
    expect(explained).toBeInstanceOf(BuildFailed)
    expect(explained.message).toBe(
      "exit code: 2\ncompiling\nno rule for all\nservices/api/Dockerfile:2: RUN make all: exit code 2",
    )
  })

  it("leaves out the engine's steps", () => {
    const error = new Error(
      "failed to load container from converted ID: load xxh3:12 inputs: dockerfile parse error on line 2: unknown instruction: RUNN",
    )
    const explained = explainedBuild(error, file, text)
    expect(explained).toBeInstanceOf(BuildFailed)
    expect(explained.message).toBe(
      "dockerfile parse error on line 2: unknown instruction: RUNN\nservices/api/Dockerfile:2: unknown instruction: RUNN",
    )
  })

  it("does not blame the Dockerfile for an engine that has ended", () => {
    const explained = explainedBuild(new Error("connection reset by peer"), file, text)
    expect(explained).not.toBeInstanceOf(BuildFailed)
    expect(explained.message).toBe("connection reset by peer")
  })
})
