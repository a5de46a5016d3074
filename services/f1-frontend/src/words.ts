import type { Contribution, ModelCard, PastPrediction, Prediction, RaceDetail, Weather } from "./api/types.ts"
import { count, decimal, integer, list, ordinal, percent, signed, surname } from "./format.ts"

/** Sentences written from data. Pure. */

const ALMOST_LEVEL = 0.04
const CLEAR = 0.5
const AHEAD = 0.15

/** The forecast of a race in a headline. */
export function forecastHeadline({ race, predictions }: RaceDetail): string {
  const [first, second] = byRank(predictions)
  if (!first) return race.name
  const name = surname(first.driver.name)
  if (second && first.win - second.win < ALMOST_LEVEL) {
    return `${name} and ${surname(second.driver.name)} are almost level`
  }
  if (first.win >= CLEAR) return `${name} is the clear favourite`
  if (first.win - (second?.win ?? 0) >= AHEAD) return `${name} is the one to beat`
  return `${name} leads an open race`
}

/** Those behind the favourite, and what is left for the field. */
export function forecastDeck({ predictions }: RaceDetail): string {
  const ranked = byRank(predictions)
  const followers = ranked.slice(1, 3)
  const others = ranked.slice(3)
  if (followers.length === 0) return ""
  const names = list(followers.map((entry) => `${surname(entry.driver.name)} (${percent(entry.win)})`))
  const verb = followers.length === 1 ? "follows" : "follow"
  const rest = others.reduce((sum, entry) => sum + entry.win, 0)
  const field =
    others.length === 1 ? "the last driver has" : `the other ${integer(others.length)} drivers share`
  const tail = others.length > 0 ? `; ${field} ${percent(rest)}` : ""
  return `${names} ${verb}${tail}.`
}

/** Predictions from the most to the least likely winner. */
export function byRank(predictions: Prediction[]): Prediction[] {
  return [...predictions].sort((a, b) => a.rank - b.rank)
}

/** A contribution as what the chance to win is multiplied by: "chance × 1.8". */
export function chanceEffect({ contribution }: Pick<Contribution, "contribution">): string {
  return `chance × ${decimal(Math.exp(contribution), Math.abs(contribution) < 0.1 ? 2 : 1)}`
}

/** A feature's value, or that it is not known. */
export function featureValue(value: number | null): string {
  if (value === null) return "not known"
  return Number.isInteger(value) ? integer(value) : decimal(value)
}

const DRY_BELOW_MM = 0.2
const WET_FROM_MM = 2

/** "24 °C, dry, wind 12 km/h". */
export function weatherWords({ precipitation_mm, temperature_c, wind_kph }: Weather): string {
  const rain =
    precipitation_mm < DRY_BELOW_MM
      ? "dry"
      : `${precipitation_mm < WET_FROM_MM ? "some rain" : "wet"} (${decimal(precipitation_mm, 1)}\u00a0mm)`
  return `${decimal(temperature_c, 0)}\u00a0°C, ${rain}, wind\u00a0${integer(wind_kph)}\u00a0km/h`
}

/** What kind of circuit it is, for a reader. */
export function circuitKind(type: "RACE" | "STREET" | "ROAD"): string {
  return { RACE: "permanent circuit", STREET: "street circuit", ROAD: "road circuit" }[type]
}

/** The place a driver finished in, or why not: "1", "DNF". */
export function outcome({ actual_position, status }: Pick<Prediction, "actual_position" | "status">): string {
  if (actual_position !== null) return String(actual_position)
  return status === null ? "–" : status.toUpperCase()
}

/** How a race ended for a driver, as the end of a sentence: "who finished 6th", "who did not finish". */
export function endedHow({ actual_position }: Pick<Prediction, "actual_position">): string {
  return actual_position === null ? "who did not finish" : `who finished ${ordinal(actual_position)}`
}

/** How often the favourite won, in a headline. */
export function recordHeadline(predictions: PastPrediction[]): string {
  const hits = predictions.filter((prediction) => prediction.hit).length
  return `The favourite won ${integer(hits)} of ${count(predictions.length, "race")}`
}

/** Where the model stands against the baseline after all these races: lead in nats, positive when ahead. */
export function leads(predictions: PastPrediction[]): number[] {
  return predictions.map((prediction) => prediction.baseline_log_loss - prediction.log_loss)
}

type Metrics = ModelCard["metrics"]
type NamedScores = Metrics["by_season"][number]["scores"]

/** Log-loss of the winner of one way of predicting; NaN when it is not among the scores. */
export function lossOf(scores: NamedScores, name: string): number {
  return scores.find((entry) => entry.name === name)?.scores.winner_log_loss ?? NaN
}

/** What the seasons have brought over the grid, and in which of them a baseline was better. */
export function seasonWords({ by_season: seasons }: Pick<Metrics, "by_season">): string {
  const gains = seasons.map(({ season, scores }) => {
    const races = scores[0]?.scores.races ?? 0
    return `${signed((lossOf(scores, "grid") - lossOf(scores, "model")) * races, 1)} in ${season}`
  })
  const better = seasons.flatMap(({ season, scores }) =>
    scores
      .filter((entry) => entry.scores.winner_log_loss < lossOf(scores, "model"))
      .map((entry) => `${entry.label} in ${season}`),
  )
  const worse = better.length > 0 ? `Better than the model: ${list(better)}.` : "No baseline was better."
  return `Log-loss gained over the grid, summed over the races: ${list(gains)}. ${worse}`
}
