import { describe, expect, it } from "vitest"
import { baseImageOf, type BuildFailure, placeOfFailure } from "../../src/platform/dockerfile.js"

const text = `# syntax=docker/dockerfile:1

FROM python:3.11-slim AS build
COPY api/requirements.txt .
RUN --mount=type=cache,target=/root/.cache \\
    # a comment inside
    python -m venv /opt/venv \\
    && pip install   --requirement requirements.txt
COPY --from=build /opt/venv /opt/venv
COPY planted.txt /planted.txt
RUN exit 3
FROM registry.local/none:1
`

describe("placeOfFailure", () => {
  it.each<[string, BuildFailure, string]>([
    [
      "a command",
      { message: "exit code: 3", command: ["/bin/sh", "-c", "exit 3"], exitCode: 3 },
      "services/api/Dockerfile:11: RUN exit 3: exit code 3",
    ],
    [
      "a command over several lines",
      {
        message: "exit code: 1",
        command: [
          "/bin/sh",
          "-c",
          "python -m venv /opt/venv     && pip install   --requirement requirements.txt",
        ],
        exitCode: 1,
      },
      "services/api/Dockerfile:5: RUN --mount=type=cache,target=/root/.cache python -m venv /opt/venv && pip install   --requirement …: exit code 1",
    ],
    [
      "a parse error",
      { message: "dockerfile parse error on line 9: unknown instruction: RUNN (did you mean RUN?)" },
      "services/api/Dockerfile:9: unknown instruction: RUNN (did you mean RUN?)",
    ],
    [
      "a file that is missing",
      { message: 'failed to compute cache key: "/planted.txt": not found' },
      "services/api/Dockerfile:10: COPY planted.txt /planted.txt: not found",
    ],
    [
      "an image that is missing",
      { message: "failed to resolve source metadata for registry.local/none:1: manifest unknown" },
      "services/api/Dockerfile:12: FROM registry.local/none:1: failed to resolve source metadata for registry.local/none:1: manifest unknown",
    ],
    ["nothing that the file has", { message: "the engine has ended" }, ""],
    ["a command of another file", { message: "", command: ["sh", "-c", "make"], exitCode: 1 }, ""],
  ])("names the line and the instruction of %s", (_, failure, place) => {
    expect(placeOfFailure("services/api/Dockerfile", text, failure)).toBe(place)
  })
})

describe("baseImageOf", () => {
  it.each([
    ["FROM python:3.11@sha256:1", "python:3.11@sha256:1"],
    [
      "FROM --platform=$BUILDPLATFORM node AS build\nRUN make\nFROM nginx:1.26\nCOPY --from=build /a /b",
      "nginx:1.26",
    ],
    ["FROM debian AS base\nFROM base AS tools\nRUN make\nFROM Tools", "debian"],
    ["FROM nginx AS nginx\nFROM nginx", "nginx"],
    ["FROM golang AS build\nFROM scratch\nCOPY --from=build /a /a", undefined],
  ])("%j begins with %s", (text, image) => {
    expect(baseImageOf(text)).toBe(image)
  })

  it.each(["", "RUN make", "ARG VERSION\nFROM python:$VERSION"])("cannot tell for %j", (text) => {
    expect(() => baseImageOf(text)).toThrow(/the last stage has no image to begin with that can be told/)
  })
})
