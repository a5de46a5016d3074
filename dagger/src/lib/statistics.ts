import { median } from "./median.js"

export interface Comparison {
  verdict: "same" | "worse" | "too little data"
  /** Two-sided probability of such a difference between two equal versions. */
  p: number
  /** The size of the difference in the metric's unit: for durations the Hodges–Lehmann shift, for rates their difference. */
  effect: number
}

/** The share of the measured difference that must be beyond doubt, as in Kayenta. With many points every difference is significant, but not every one matters. */
const tolerance = 0.25

/**
 * Compares durations of a canary and a baseline by the Mann–Whitney U test, as Kayenta does.
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
 * A difference must also be large enough: the lower end of the shift's confidence interval must be above a quarter of the shift. That holds when the canary's values,
 * reduced by that quarter, still test as larger.
 *
 * @param options.confidence of the two-sided interval, in percent
 * @param options.points that each side needs at least
 * @param options.direction in which a value gets worse
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
  if (wrong !== undefined) throw new Error(`a value to compare is a finite number (found ${wrong})`)
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

/**
 * Whether {@link mannWhitney} could find a difference between this number of values on each side: when every value of one is above every value of the other.
 *
 * @param confidence of the two-sided interval, in percent
 */
export function canDiffer(points: number, confidence: number): boolean {
  const values = (from: number) => Array.from({ length: points }, (_, at) => from + at)
  return beyond(score(values(points), values(0))) < (1 - confidence / 100) / 2
}

/** Errors among a number of requests. */
export interface Rate {
  errors: number
  requests: number
}

/**
 * Compares the error rates of a canary and a baseline by Fisher's exact test on all their requests.
 *
 * A rank test of the rates of single samples would miss errors that come in bursts: when more than half of the samples have none, the median difference is 0.
 *
 * The test asks how likely at least as many of all errors fall on the canary when both fail equally often. It is exact for small numbers too. As for durations, a quarter
 * of the difference may be chance: that part of the canary's errors does not count.
 *
 * @param confidence of the two-sided interval, in percent
 */
export function compareRates(canary: Rate, baseline: Rate, confidence: number): Comparison {
  for (const { errors, requests } of [canary, baseline]) {
    if (!(errors >= 0 && errors <= requests && Number.isFinite(requests))) {
      throw new Error(
        `a rate has between 0 and all of its requests as errors (found ${errors} of ${requests})`,
      )
    }
  }
  if (Math.round(canary.requests) === 0 || Math.round(baseline.requests) === 0) {
    return { verdict: "too little data", p: 1, effect: 0 }
  }
  const effect = canary.errors / canary.requests - baseline.errors / baseline.requests
  const p = Math.min(1, 2 * (effect > 0 ? excess(canary, baseline) : excess(baseline, canary)))
  const certain = { ...canary, errors: Math.floor(canary.errors - tolerance * effect * canary.requests) }
  const worse = effect > 0 && excess(certain, baseline) < (1 - confidence / 100) / 2
  return { verdict: worse ? "worse" : "same", p, effect: 100 * effect }
}

/** The probability that at least as many of all errors fall on the first of two equal versions: the upper tail of the hypergeometric distribution. */
function excess(one: Rate, other: Rate): number {
  const [n, m] = [Math.round(one.requests), Math.round(other.requests)]
  const [least, rest] = [Math.round(one.errors), Math.round(other.errors)]
  const all = least + rest
  const ways = (total: number, some: number) =>
    logFactorial(total) - logFactorial(some) - logFactorial(total - some)
  let probability = 0
  for (let errors = least; errors <= Math.min(all, n); errors++) {
    if (all - errors > m) continue
    const term = Math.exp(ways(n, errors) + ways(m, all - errors) - ways(n + m, all))
    probability += term
    // Terms only fall from here on, and no longer count.
    if (errors > (all * n) / (n + m) && term < probability * 1e-12) break
  }
  return probability
}

/** ln n!, by Stirling's series from 10 on; wrong by less than 1e-10. */
function logFactorial(n: number): number {
  if (n < 10)
    return Math.log(Array.from({ length: n }, (_, at) => at + 1).reduce((product, one) => product * one, 1))
  const x = n + 1
  const series = 1 / (12 * x) - 1 / (360 * x ** 3) + 1 / (1260 * x ** 5) - 1 / (1680 * x ** 7)
  return (x - 0.5) * Math.log(x) - x + Math.log(2 * Math.PI) / 2 + series
}

/** The z score of the first sample being larger, with continuity correction; 0 when all values are equal. */
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

/** For {@link beyond}, the lowest power first. */
const coefficients = [
  -1.26551223, 1.00002368, 0.37409196, 0.09678418, -0.18628806, 0.27886807, -1.13520398, 1.48851587,
  -0.82215223, 0.17087277,
]

/** The upper tail of the standard normal distribution; relative error at most 1.2e-7 (Numerical Recipes, `erfcc`). */
function beyond(z: number): number {
  const x = Math.abs(z) / Math.SQRT2
  const t = 1 / (1 + x / 2)
  const polynomial = coefficients.reduceRight((sum, coefficient) => sum * t + coefficient, 0)
  const tail = (t * Math.exp(-x * x + polynomial)) / 2
  return z < 0 ? 1 - tail : tail
}
