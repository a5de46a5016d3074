import { describe, expect, it } from "vitest"
import { readRecorded } from "../../src/ci/runner/command.js"

const times = "\nran from 1764320000.250000000 to 1764320012.500000000\n"

describe("readRecorded", () => {
  it.each([
    ["nothing", ""],
    ["a line", "3 passed\n"],
    ["text without an end of line", "3 passed"],
    ["a line like that of the recorder", `${times}3 passed\n`],
  ])("reads the times behind %s", (_, output) => {
    expect(readRecorded(`${output}${times}`)).toEqual({
      output,
      from: 1764320000.25,
      to: 1764320012.5,
    })
  })

  it.each(["", "3 passed\n", `${times}3 passed\n`])(
    "refuses output without times at its end: %j",
    (printed) => {
      expect(() => readRecorded(printed)).toThrow("the gate's command recorded no times")
    },
  )
})
