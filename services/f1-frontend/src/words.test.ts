import { describe, expect, it } from "vitest"
import { ada, aurora, ben, cleo, model, nextRace, past, pastRace, prediction } from "./testing/fixtures.ts"
import {
  byRank,
  circuitKind,
  endedHow,
  featureValue,
  forecastDeck,
  forecastHeadline,
  leads,
  chanceEffect,
  lossOf,
  seasonWords,
  outcome,
  recordHeadline,
  weatherWords,
} from "./words.ts"

const forecast = (...wins: number[]) => ({
  ...nextRace,
  predictions: wins.map((win, index) =>
    prediction([ada, ben, cleo][index] ?? cleo, aurora, { win, rank: index + 1 }),
  ),
})

describe("the headline of a forecast", () => {
  it.each([
    [[0.5, 0.3, 0.2], "Swift is the clear favourite"],
    [[0.49, 0.3, 0.21], "Swift is the one to beat"],
    [[0.35, 0.3, 0.2], "Swift leads an open race"],
    [[0.4, 0.37, 0.23], "Swift and de Vos are almost level"],
    [[0.9], "Swift is the clear favourite"],
    [[], "Desert Grand Prix"],
  ])("for chances %j is: %s", (wins, headline) => {
    expect(forecastHeadline(forecast(...wins))).toBe(headline)
  })

  it("goes by rank, not by the order of the answer", () => {
    const detail = { ...nextRace, predictions: [...nextRace.predictions].reverse() }
    expect(forecastHeadline(detail)).toBe("Swift is the clear favourite")
    expect(byRank(detail.predictions).map((entry) => entry.rank)).toEqual([1, 2, 3, 4])
  })
})

describe("the deck of a forecast", () => {
  it("names the followers and what is left for the others", () => {
    expect(forecastDeck(nextRace)).toBe("de Vos (30%) and Marsh (15%) follow; the last driver has <1%.")
    expect(forecastDeck(forecast(0.4, 0.2, 0.2, 0.1, 0.1))).toMatch(/; the other 2 drivers share 20%\.$/)
  })

  it("fits a field of two, and of one", () => {
    expect(forecastDeck(forecast(0.6, 0.4))).toBe("de Vos (40%) follows.")
    expect(forecastDeck(forecast(1))).toBe("")
  })
})

describe("what moves a prediction", () => {
  it("is told as a factor of the chance", () => {
    expect(chanceEffect({ contribution: Math.log(2) })).toBe("chance × 2.0")
    expect(chanceEffect({ contribution: Math.log(0.5) })).toBe("chance × 0.5")
    expect(chanceEffect({ contribution: 0.05 })).toBe("chance × 1.05")
  })

  it("says a value, or that there is none", () => {
    expect(featureValue(3)).toBe("3")
    expect(featureValue(1812.415)).toBe("1812.41")
    expect(featureValue(null)).toBe("not known")
  })
})

describe("weather and circuit", () => {
  it.each([
    [0, "dry"],
    [1.4, "some rain (1.4\u00a0mm)"],
    [6, "wet (6.0\u00a0mm)"],
  ])("with %d mm of rain is: %s", (precipitation_mm, rain) => {
    const weather = { precipitation_mm, temperature_c: 24.2, wind_kph: 12.3, source: "s" }
    expect(weatherWords(weather)).toBe(`24\u00a0°C, ${rain}, wind\u00a012\u00a0km/h`)
  })

  it("has a name for each kind of circuit", () => {
    expect(["RACE", "STREET", "ROAD"].map((type) => circuitKind(type as "RACE"))).toEqual([
      "permanent circuit",
      "street circuit",
      "road circuit",
    ])
  })
})

describe("a result", () => {
  it("is a place, a reason, or nothing yet", () => {
    expect(pastRace.predictions.map(outcome)).toEqual(["3", "1", "2", "DNF"])
    expect(outcome({ actual_position: null, status: null })).toBe("–")
  })

  it("ends a sentence", () => {
    expect(endedHow({ actual_position: 3 })).toBe("who finished 3rd")
    expect(endedHow({ actual_position: null })).toBe("who did not finish")
  })
})

describe("the record", () => {
  it("counts the favourites that won", () => {
    expect(recordHeadline([past(1), past(2, { hit: false })])).toBe("The favourite won 1 of 2 races")
  })

  it("leads where the model lost less than the baseline", () => {
    const [lead] = leads([past(1, { log_loss: 0.6, baseline_log_loss: 1.1 })])
    expect(lead).toBeCloseTo(0.5)
  })
})

describe("what the seasons brought", () => {
  it("is summed over the races, and names where a baseline was better", () => {
    expect(seasonWords(model.metrics)).toBe(
      "Log-loss gained over the grid, summed over the races: +11.0 in 2030 and −6.6 in 2031. " +
        "Better than the model: how often the starting place won in 2031 and logit on log grid and form in 2031.",
    )
    const [first] = model.metrics.by_season
    expect(seasonWords({ by_season: first ? [first] : [] })).toMatch(/No baseline was better\.$/)
    expect(lossOf([], "grid")).toBeNaN()
  })
})
