import { percent, type Sample } from "./sample.js"
import type { AnalysisSettings, Assessment } from "./rules.js"

export interface Comparison {
  verdict: "same" | "worse" | "too little data"
  /** Two-sided: how likely a difference like this one is between two samples of the same. */
  p: number
  /** The shift of Hodges and Lehmann, in the metric's unit: the median of all differences between a value of the canary and one of the baseline. */
  effect: number
}

/** How much of the estimated shift must be beyond doubt: Kayenta's tolerance. */
const tolerance = 0.25

/**
 * Compares a canary with a fresh baseline by the Mann–Whitney U test, as Kayenta's judge does.
 *
 * With `n` and `m` values, and `t` of them in each group of ties:
 *
 *     U = R - n (n + 1) / 2,  where R is the sum of the canary's ranks, ties with their mean rank
 *     σ² = n m / 12 · ((n + m + 1) - Σ (t³ - t) / ((n + m) (n + m - 1)))
 *     z = (U - n m / 2 ∓ 0.5) / σ
 *
 * That is R's `wilcox.test(exact = FALSE, correct = TRUE)` and SciPy's `mannwhitneyu(method="asymptotic")`; see Mann and Whitney, "On a test of
 * whether one of two random variables is stochastically larger than the other" (1947), and Lehmann, "Nonparametrics" (1975), for ties.
 *
 * The effect decides too, as many points make any difference significant: the lower end of the shift's confidence interval must be above a quarter
 * of the shift. The interval is the test turned round, so its lower end is above a shift when the canary, less that shift, still tests as larger.
 *
 * @param options.confidence of the two-sided interval, in percent
 * @param options.points that each side has at least
 * @param options.direction where worse is
 */
export function mannWhitney(
  canary: number[],
  baseline: number[],
  {
    confidence,
    points,
    direction,
  }: { confidence: number; points: number; direction: "increase" | "decrease" },
): Comparison {
  const wrong = [...canary, ...baseline].find((value) => !Number.isFinite(value))
  if (wrong !== undefined) throw new Error(`a value to judge is a finite number (found ${wrong})`)
  if (Math.min(canary.length, baseline.length) < Math.max(1, points)) {
    return { verdict: "too little data", p: 1, effect: 0 }
  }
  const effect = median(canary.flatMap((one) => baseline.map((other) => one - other)))
  const p = 2 * beyond(Math.abs(score(canary, baseline)))
  const sign = direction === "increase" ? 1 : -1
  const shifted = canary.map((value) => sign * value - tolerance * Math.abs(effect))
  const control = baseline.map((value) => sign * value)
  const doubt = beyond(score(shifted, control))
  const worse = sign * effect > 0 && doubt < (1 - confidence / 100) / 2
  return { verdict: worse ? "worse" : "same", p: Math.min(1, p), effect }
}

/** Holds what a candidate did against what a baseline did in the same time: `fail` is worse, `hold` is too little to tell. */
export function compareWithBaseline(
  candidate: Sample[],
  baseline: Sample[],
  settings: Pick<NonNullable<AnalysisSettings["comparison"]>, "metric" | "confidence" | "points">,
): Assessment {
  const canary = pointsOf(candidate, settings.metric)
  const control = pointsOf(baseline, settings.metric)
  const { verdict, p, effect } = mannWhitney(canary, control, { ...settings, direction: "increase" })
  const { metric, points, confidence } = settings
  if (verdict === "too little data") {
    const reason = `${metric}: ${canary.length} points, and ${control.length} of the baseline; each needs ${points}`
    return { outcome: "hold", reason }
  }
  const size = metric === "error-rate" ? percent(Math.abs(effect)) : `${Math.round(Math.abs(effect))} ms`
  const reason =
    `${metric} is ${size} ${effect < 0 ? "below" : "above"} the baseline's ` +
    `(p ${p.toPrecision(2)}, ${confidence} % confidence asked for)`
  return { outcome: verdict === "worse" ? "fail" : "pass", reason }
}

function pointsOf(history: Sample[], metric: "p95" | "p50" | "error-rate"): number[] {
  return history
    .filter(({ missing, requests }) => missing === undefined && requests > 0)
    .map((observation) =>
      metric === "error-rate" ? (100 * observation.errors) / observation.requests : observation[metric],
    )
    .filter((value) => value !== undefined)
}

/** The z of the first sample being larger, moved towards 0 by half a rank; 0 when all values are one. */
function score(sample: number[], other: number[]): number {
  const [n, m] = [sample.length, other.length]
  const { sum, ties } = ranks(sample, other)
  const distance = sum - (n * (n + 1)) / 2 - (n * m) / 2
  const deviation = Math.sqrt(((n * m) / 12) * (n + m + 1 - ties / ((n + m) * (n + m - 1))))
  return deviation === 0 ? 0 : (distance - Math.sign(distance) * 0.5) / deviation
}

/** The sum of the first sample's ranks among all, and Σ (t³ - t) over the groups of ties. */
function ranks(sample: number[], other: number[]): { sum: number; ties: number } {
  const groups = new Map<number, { size: number; mine: number }>()
  for (const [values, mine] of [[sample, 1] as const, [other, 0] as const]) {
    for (const value of values) {
      const group = groups.get(value) ?? { size: 0, mine: 0 }
      groups.set(value, { size: group.size + 1, mine: group.mine + mine })
    }
  }
  let [passed, sum, ties] = [0, 0, 0]
  for (const [, { size, mine }] of [...groups].sort(([one], [another]) => one - another)) {
    sum += mine * (passed + (size + 1) / 2)
    ties += size ** 3 - size
    passed += size
  }
  return { sum, ties }
}

function median(values: number[]): number {
  const sorted = Float64Array.from(values).sort()
  const half = sorted.length / 2
  return ((sorted[Math.ceil(half) - 1] ?? 0) + (sorted[Math.floor(half)] ?? 0)) / 2
}

/** For {@link beyond}, the lowest power first. */
const coefficients = [
  -1.26551223, 1.00002368, 0.37409196, 0.09678418, -0.18628806, 0.27886807, -1.13520398, 1.48851587,
  -0.82215223, 0.17087277,
]

/** How likely a value of the standard normal distribution is above one; wrong by 1.2e-7 of itself at most (Numerical Recipes, `erfcc`). */
function beyond(z: number): number {
  const x = Math.abs(z) / Math.SQRT2
  const t = 1 / (1 + x / 2)
  const polynomial = coefficients.reduceRight((sum, coefficient) => sum * t + coefficient, 0)
  const tail = (t * Math.exp(-x * x + polynomial)) / 2
  return z < 0 ? 1 - tail : tail
}
