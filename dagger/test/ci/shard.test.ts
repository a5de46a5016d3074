import { describe, expect, it } from "vitest"
import { joined, type Part, readPart, readShard, split } from "../../src/ci/shard.js"
import type { Outcome } from "../../src/ci/runner/verdict.js"

describe("a shard", () => {
  it("is read, and none is one machine for everything", () => {
    expect(readShard("2/4")).toEqual({ number: 2, of: 4 })
    expect(readShard("")).toBeUndefined()
  })

  it.each(["0/4", "5/4", "1", "1/0", "a/b", "1/4/2", "-1/4", "1/9999"])("%s is refused", (text) => {
    expect(() => readShard(text)).toThrow(`--shard "${text}": allowed is NUMBER/COUNT`)
  })
})

describe("split", () => {
  const gates = ["a", "b", "c", "d", "e"].map((name) => ({ name }))
  const seconds = new Map([
    ["a", 100],
    ["b", 60],
    ["c", 50],
    ["d", 10],
  ])

  it("gives each machine about the same time, and each gate to one machine", () => {
    // e is not known: the average of the others is 55.
    expect(split(gates, 2, seconds)).toEqual([
      ["a", "c"],
      ["b", "e", "d"],
    ])
  })

  it("is the same on every machine, whatever the order of the gates", () => {
    expect(split([...gates].reverse(), 2, seconds)).toEqual(split(gates, 2, seconds))
  })

  it("splits by number where no duration is known", () => {
    expect(split(gates, 2, new Map()).map(({ length }) => length)).toEqual([3, 2])
  })

  it.each([600, 2])("keeps a gate with what it needs, which takes %d s", (test) => {
    const tested = [
      { name: "test" },
      { name: "format" },
      { name: "lint" },
      { name: "types" },
      { name: "coverage", needs: ["test"] },
    ]
    const durations = new Map([
      ["test", test],
      ["format", 2],
      ["lint", 1],
      ["types", 11],
      ["coverage", 0.1],
    ])
    const machines = split(tested, 2, durations)
    const withTest = machines.find((names) => names.includes("test"))
    expect(withTest).toContain("coverage")
    expect(machines.every((names) => names.length > 0 && names.length < tested.length)).toBe(true)
  })

  it("counts what a gate needs as work of its machine", () => {
    const built = [
      { name: "image" },
      { name: "smoke", needs: ["image"] },
      { name: "load", needs: ["image"] },
      { name: "lint" },
    ]
    const durations = new Map([
      ["image", 100],
      ["load", 30],
      ["smoke", 20],
      ["lint", 60],
    ])
    expect(split(built, 2, durations)).toEqual([["image", "load", "smoke"], ["lint"]])
  })

  it("leaves machines without work where there are more than gates", () => {
    expect(split(gates.slice(0, 1), 3, seconds)).toEqual([["a"], [], []])
  })
})

describe("joined parts", () => {
  const gate = (name: string, outcome: Outcome = "passed") => ({
    verdict: {
      gate: name,
      subject: "",
      outcome,
      seconds: 1,
      cached: false,
      retries: [],
      detail: "",
      output: "",
    },
    artifacts: {},
  })
  const part = (number: number, gates: ReturnType<typeof gate>[], more: Partial<Part["run"]> = {}): Part => ({
    schemaVersion: 1,
    shard: { number, of: 2 },
    planned: ["a", "b", "c"],
    run: { gates, started: new Date(number * 1000), seconds: number * 10, revision: "abc", ...more },
  })
  const first = part(1, [gate("a"), gate("b")])

  it("are one run: every gate in order, from the first start, as long as the longest", () => {
    const run = joined([part(2, [gate("c")]), first])
    expect(run.gates.map(({ verdict }) => verdict.gate)).toEqual(["a", "b", "c"])
    expect(run).toMatchObject({ started: new Date(1000), seconds: 20, revision: "abc" })
  })

  it.each<Outcome>(["failed", "could not run", "skipped"])(
    "count a gate of two machines once: %s before passed",
    (outcome) => {
      const run = joined([first, part(2, [gate("a", outcome), gate("c")])])
      expect(run.gates.map(({ verdict }) => verdict.outcome)).toEqual([outcome, "passed", "passed"])
    },
  )

  it.each<[string, Part[], string]>([
    ["none", [], "there is no part"],
    ["one is missing", [first], "missing or given twice: 2/2"],
    ["one is there twice", [first, first, part(2, [gate("c")])], "missing or given twice: 1/2"],
    ["another commit", [first, part(2, [gate("c")], { revision: "def" })], "different runs"],
    ["another split", [first, { ...part(2, [gate("c")]), shard: { number: 2, of: 3 } }], "different runs"],
    ["a gate that nobody ran", [first, part(2, [])], "no part has c"],
  ])("are refused: %s", (_, parts, message) => {
    expect(() => joined(parts)).toThrow(message)
  })

  it("are read back as they were written", () => {
    expect(readPart("1/part.json", JSON.stringify(first))).toEqual(first)
    expect(() => readPart("1/part.json", "{")).toThrow("1/part.json is no JSON")
    expect(() => readPart("1/part.json", "{}")).toThrow("1/part.json is not what report --shard writes")
  })
})
