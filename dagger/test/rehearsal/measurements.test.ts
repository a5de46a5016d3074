import { describe, expect, it } from "vitest"
import { type Expectation, unmet } from "../../src/rehearsal/measurements/expectation.js"
import {
  measure as measureWith,
  type Recording,
  type LoadRequest,
} from "../../src/rehearsal/measurements/measurements.js"
import { resultTable } from "../../src/rehearsal/measurements/result.js"

const measure = (recorded: Recording) => measureWith(recorded, 2_000)

const ask = (at: number, overrides: Partial<LoadRequest> = {}): LoadRequest => ({
  at,
  took: 10,
  status: 200,
  mark: "",
  ...overrides,
})

/** A second of requests, of which every tenth is the candidate's. */
const second = (from: number, candidate: Partial<LoadRequest> = {}): LoadRequest[] =>
  Array.from({ length: 100 }, (_, at) =>
    at % 10 === 0 ? ask(from + at * 10, { mark: "new", ...candidate }) : ask(from + at * 10),
  )

const quiet = (from: number) => Array.from({ length: 100 }, (_, at) => ask(from + at * 10))

const recording = (overrides: Partial<Recording> = {}): Recording => ({
  requests: [...quiet(0), ...quiet(1_000), ...second(2_000), ...second(3_000), ...quiet(4_000)],
  unsent: 0,
  changes: [
    { at: 1_100, phase: "preparing", weight: 0 },
    { at: 2_000, phase: "shifting", weight: 10 },
    { at: 4_000, phase: "promoting", weight: 100 },
    { at: 4_500, phase: "promoted", weight: 100 },
  ],
  mark: "new",
  began: 1_000,
  ended: 4_600,
  ...overrides,
})

const bad = { status: 500 }
const taken: Partial<Recording> = {
  requests: [...quiet(0), ...quiet(1_000), ...second(2_000, bad), ...quiet(3_000)],
  changes: [
    { at: 2_000, phase: "shifting", weight: 10 },
    { at: 3_000, phase: "aborting", weight: 0 },
    { at: 3_500, phase: "aborted", weight: 0 },
  ],
}

describe("the figures of a rehearsal", () => {
  it("count what was sent and what failed, and say whose failure it was", () => {
    const requests = [
      ...quiet(0),
      ask(1_500, { status: 502 }),
      ask(1_600, { status: 0 }),
      ...second(2_000, bad),
    ]
    const { sent, failed, failedByCandidate } = measure(recording({ requests }))
    expect({ sent, failed, failedByCandidate }).toEqual({ sent: 202, failed: 12, failedByCandidate: 10 })
  })

  it("tell p95 before the command from p95 during it", () => {
    const requests = [...quiet(0), ...second(2_000, { took: 300 })]
    expect(measure(recording({ requests }))).toMatchObject({ p95Before: 10, p95During: 300 })
  })

  it("measure the seconds from the command to all promoted", () => {
    expect(measure(recording()).secondsToPromoted).toBe(3.5)
    expect(measure(recording(taken)).secondsToPromoted).toBeUndefined()
  })

  it("measure for how long users were hurt, by errors or by waiting", () => {
    expect(measure(recording(taken)).secondsHurt).toBe(0.9)
    const own = (at: number, took: number) => ask(at, { took, mark: "new" })
    const requests = [
      ask(0),
      own(2_000, 3_000),
      own(2_700, 2_001),
      own(3_000, 2_000),
      ask(3_500, { took: 4_000 }),
    ]
    expect(measure(recording({ requests })).secondsHurt).toBe(0.7)
    expect(measure(recording()).secondsHurt).toBeUndefined()
  })

  it("measure which share of answers the candidate had, once the router knows the weight", () => {
    expect(measure(recording()).shares).toEqual([{ weight: 10, measured: 10, requests: 100 }])
  })

  it("say that a rollout which was never seen was not begun", () => {
    expect(measure(recording({ changes: [] })).outcome).toBe("not begun")
  })

  it("take a rollout that was taken back and that nobody ended for aborted", () => {
    const changes = [{ at: 2_000, phase: "aborting", weight: 0 }]
    expect(measure(recording({ changes })).outcome).toBe("aborted")
  })
})

describe("what should not have come of a rehearsal", () => {
  const good: Expectation = { outcome: "promoted", lost: "none" }
  const back: Expectation = { outcome: "aborted", lost: "candidate", within: 5 }

  it("is nothing when it ended as expected", () => {
    expect(unmet(measure(recording()), good)).toEqual([])
    expect(unmet(measure(recording(taken)), back)).toEqual([])
  })

  it("is another end", () => {
    expect(unmet(measure(recording()), back)).toEqual(["it ended promoted instead of aborted"])
  })

  it("is a request that failed where none had to", () => {
    const lost = recording({ requests: [...recording().requests, ask(4_100, { status: 502 })] })
    expect(unmet(measure(lost), good)).toEqual([
      "1 requests failed; allowed: none: the first with status 502, 3.1 s after the command",
    ])
  })

  it("is a request that failed, and not by the candidate's own fault", () => {
    const lost = recording({ ...taken, requests: [...(taken.requests ?? []), ask(3_100, { status: 502 })] })
    expect(unmet(measure(lost), back)).toEqual([
      "1 requests failed that the candidate did not answer: the first with status 502, 2.1 s after the command",
    ])
    expect(unmet(measure(lost), { ...back, lost: "unanswered" })).toEqual([])
  })

  it("is a fault that users had for too long", () => {
    expect(unmet(measure(recording(taken)), { ...back, within: 0.5 })).toEqual([
      "users were affected for 0.9 s; allowed: 0.5 s",
    ])
  })

  it("is a load that never was", () => {
    expect(unmet(measure(recording({ requests: [] })), good)).toContain(
      "no request was sent, so nothing was measured",
    )
  })

  it("is a load that could not be sent as it was due", () => {
    expect(unmet(measure(recording({ unsent: 300 })), good)).toEqual([
      "300 requests were due but not sent, so the load was not steady",
    ])
  })
})

describe("the table of rehearsals", () => {
  it("has a row for each, and says what should not have come of it", () => {
    const figures = measure(recording(taken))
    const text = resultTable([
      { fault: "error-rate", strategy: "canary", figures, unmet: [], message: "" },
      {
        fault: "none",
        strategy: "canary",
        figures,
        unmet: ["it ended aborted instead of promoted"],
        message: "",
      },
    ])
    const [head, first, second] = text.split("\n")
    expect(head).toMatch(/^FAULT +STRATEGY +OUTCOME +SENT +FAILED/)
    expect(first).toMatch(/^error-rate +canary +aborted +400 +10 +10 .* 0\.9 s .* yes$/)
    expect(second).toMatch(/no: it ended aborted instead of promoted$/)
  })
})
