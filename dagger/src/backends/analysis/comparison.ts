import { rateText } from "../../lib/text.js"
import { type Sample, totals } from "./sample.js"
import type { AnalysisSettings, Assessment } from "./rules.js"
import { compareRates, mannWhitney } from "../../lib/statistics.js"

/** Compares the samples of a candidate with those of a baseline from the same time: `fail` means worse, `hold` means too little data. */
export function compareWithBaseline(
  candidate: Sample[],
  baseline: Sample[],
  settings: Pick<NonNullable<AnalysisSettings["comparison"]>, "metric" | "confidence" | "points">,
): Assessment {
  const canary = pointsOf(candidate, settings.metric)
  const control = pointsOf(baseline, settings.metric)
  const { metric, points, confidence } = settings
  const ranked = mannWhitney(canary, control, { ...settings, direction: "increase" })
  const { verdict, p, effect } =
    metric === "error-rate" && ranked.verdict !== "too little data"
      ? compareRates(totals(usable(candidate)), totals(usable(baseline)), confidence)
      : ranked
  if (verdict === "too little data") {
    const reason = `${metric}: ${canary.length} points, and ${control.length} of the baseline; each needs ${points}`
    return { outcome: "hold", reason }
  }
  const size = metric === "error-rate" ? rateText(Math.abs(effect)) : `${Math.round(Math.abs(effect))} ms`
  const reason =
    `${metric} is ${size} ${effect < 0 ? "below" : "above"} the baseline's ` +
    `(p ${p.toPrecision(2)}, ${confidence} % confidence asked for)`
  return { outcome: verdict === "worse" ? "fail" : "pass", reason }
}

const usable = (history: Sample[]) =>
  history.filter(({ missing, requests }) => missing === undefined && requests > 0)

function pointsOf(history: Sample[], metric: "p95" | "p50" | "error-rate"): number[] {
  return usable(history)
    .map((observation) =>
      metric === "error-rate" ? (100 * observation.errors) / observation.requests : observation[metric],
    )
    .filter((value) => value !== undefined)
}
