import { describe, expect, it } from "vitest"
import { cumulative, paddedExtent, spread, thin, wilsonInterval } from "./layout.ts"
import { seasonBoundaries, stepTicks } from "./steps.ts"

describe("spread", () => {
  it("leaves labels where they are when there is room", () => {
    expect(spread([10, 50, 90], 15, 0, 100)).toEqual([10, 50, 90])
  })

  it("moves crowded labels apart and keeps the order of the input", () => {
    expect(spread([50, 48, 49], 10, 0, 100)).toEqual([68, 48, 58])
  })

  it("stays inside, pushing back from the far end", () => {
    expect(spread([95, 98], 10, 0, 100)).toEqual([90, 100])
  })

  it("has nothing to do with nothing", () => {
    expect(spread([], 10, 0, 100)).toEqual([])
  })
})

describe("paddedExtent", () => {
  it("adds room on both sides", () => {
    expect(paddedExtent([0, 100], 0.1)).toEqual([-10, 110])
  })

  it("makes room around a single value", () => {
    expect(paddedExtent([5], 0.1)).toEqual([4.9, 5.1])
  })
})

it("cumulative sums up", () => {
  expect(cumulative([1, 2, -4])).toEqual([1, 3, -1])
})

describe("thin", () => {
  it("keeps the last item and at most so many", () => {
    expect(thin([1, 2, 3, 4, 5, 6, 7], 3)).toEqual([1, 4, 7])
    expect(thin([1, 2, 3, 4, 5, 6], 4)).toEqual([2, 4, 6])
  })

  it("keeps all that fit, and one where none fits", () => {
    expect(thin([1, 2], 9)).toEqual([1, 2])
    expect(thin([1, 2], 0.2)).toEqual([2])
  })
})

describe("wilsonInterval", () => {
  // Reference values from Newcombe 1998, table I.
  it.each([
    [81, 263, 0.2553, 0.3662],
    [15, 148, 0.0624, 0.1605],
    [0, 20, 0, 0.1611],
    [1, 29, 0.0061, 0.1718],
  ])("of %d in %d is %d to %d", (hits, count, low, high) => {
    const [from, to] = wilsonInterval(hits / count, count)
    expect(from).toBeCloseTo(low, 3)
    expect(to).toBeCloseTo(high, 3)
  })
})

const step = (season: number, round: number) => ({ season, round, race: "" })

describe("steps", () => {
  it("of one season are labelled by round", () => {
    const steps = [step(2031, 1), step(2031, 3)]
    expect(stepTicks(steps)).toEqual([
      { x: 0, label: "R1" },
      { x: 1, label: "R3" },
    ])
    expect(seasonBoundaries(steps)).toEqual([])
  })

  it("of several seasons are labelled by year at its middle", () => {
    const steps = [step(2030, 1), step(2030, 2), step(2030, 3), step(2031, 1)]
    expect(stepTicks(steps)).toEqual([
      { x: 1, label: "2030" },
      { x: 3, label: "2031" },
    ])
    expect(seasonBoundaries(steps)).toEqual([3])
  })
})
