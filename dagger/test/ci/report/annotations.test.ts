import { describe, expect, it } from "vitest"
import { githubAnnotations } from "../../../src/ci/report/annotations.js"
import type { Finding } from "../../../src/ci/report/failures.js"
import type { Severity } from "../../../src/ci/report/severity.js"
import { hostile } from "./fixtures.js"

const finding = (severity: Severity, rest: Partial<Finding> = {}): Finding => ({
  severity,
  title: "api:test: test_a",
  message: "assert 1 == 2",
  again: "./daggerw check api:test",
  ...rest,
})

describe("annotations", () => {
  it("names file, line and title", () => {
    expect(githubAnnotations([finding("high", { file: "services/api/a.py", line: 3 })])).toEqual([
      "::error file=services/api/a.py,line=3,title=api%3Atest%3A test_a::assert 1 == 2%0ARun again: ./daggerw check api:test",
    ])
  })

  it("stays one command a finding, whatever is in it", () => {
    const [line, ...more] = githubAnnotations([
      finding("high", { file: `a,b:c%\n${hostile}`, title: hostile, message: hostile }),
    ])
    expect(more).toEqual([])
    expect(line?.split("\n")).toHaveLength(1)
    expect(line).not.toContain("\r")
    const [, properties = "", ...message] = line?.split("::") ?? []
    expect(properties.split(",").map((part) => part.split("=")[0])).toEqual(["error file", "title"])
    expect(properties).toContain("file=a%2Cb%3Ac%25%0A")
    expect(message.join("::")).toContain("%0A::error::owned%0D%0A")
  })

  it("isolates a title that is written from right to left", () => {
    const [line] = githubAnnotations([finding("high", { title: "api:test: מבחן" })])
    expect(line).toContain("title=\u2068api%3Atest%3A מבחן\u2069")
  })

  it("shows the ten worst of each kind, and says how many more there are", () => {
    const many = (severity: Severity, length: number) => Array.from({ length }, () => finding(severity))
    const lines = githubAnnotations([
      ...many("note", 2),
      ...many("low", 9),
      ...many("medium", 9),
      ...many("high", 12),
      ...many("critical", 1),
    ])
    expect(lines.filter((line) => line.startsWith("::error "))).toHaveLength(10)
    expect(lines.filter((line) => line.startsWith("::warning "))).toHaveLength(10)
    expect(lines.at(-1)).toBe(
      "::notice title=Not all findings are shown here::3 more errors, 8 more warnings, 2 notes: see the summary.",
    )
  })

  it("is empty without findings", () => {
    expect(githubAnnotations([])).toEqual([])
  })
})
