import { z } from "zod"
import { section } from "../../lib/document.js"
import { configuredDuration } from "../../lib/duration.js"
import { longestDuration } from "./exposition.js"
import { rateText } from "../../lib/text.js"
import { totals, type Sample } from "./sample.js"
import { canDiffer } from "../../lib/statistics.js"

const some = configuredDuration.refine((seconds) => seconds > 0, "more than 0s")
const share = z.number().min(0).lt(100, "below 100: nothing is ever above 100 %")

/** What a rule on requests has in common. */
const traffic = {
  /** Fewer requests than this say too little. */
  requests: z.int().positive().default(20),
  /** The shortest time that is measured together; default: a third of `for`. */
  window: some.optional(),
}

const rule = z
  .discriminatedUnion(
    "metric",
    [
      section({ metric: z.literal("error-rate"), above: share, for: some, ...traffic }),
      section({
        metric: z.literal("p95"),
        above: z
          .number()
          .positive()
          .lt(
            longestDuration,
            `below ${longestDuration}: the services' histogram ends there, so the rule could never fire`,
          ),
        for: some,
        ...traffic,
      }),
      section({ metric: z.literal("failing-pods"), above: share, for: some }),
    ],
    { error: "metric is one of error-rate, p95, failing-pods" },
  )
  .refine((rule) => rule.metric === "failing-pods" || (rule.window ?? 0) <= rule.for, {
    message: "at most as long as for",
    path: ["window"],
  })

/** When a new version is not good enough; see `dagger/config/deploy.yaml`. */
export const analysisSection = section({
  interval: some,
  noDataTimeout: some,
  rules: z.array(rule).min(1, "at least one rule, or nothing could stop a rollout"),
  comparison: section({
    metric: z.enum(["p95", "p50", "error-rate"]),
    confidence: z.number().min(50).lt(100),
    points: z.int().min(8, "at least 8: with fewer the normal approximation does not hold"),
    /** fresh: new pods of the stable revision, as old as the candidate's; stable: the pods that serve users. */
    baseline: z.enum(["fresh", "stable"]).default("fresh"),
  })
    .refine(
      // Error rates are compared by their requests.
      ({ metric, points, confidence }) => metric === "error-rate" || canDiffer(points, confidence),
      {
        message:
          "more points, or less confidence: with so few, no difference is ever significant, so the comparison could never fail",
        path: ["points"],
      },
    )
    .optional(),
})

/** Durations in seconds, error rate and failing pods in percent, p95 in milliseconds. */
export type AnalysisSettings = z.output<typeof analysisSection>
export type Rule = AnalysisSettings["rules"][number]

/**
 * The result of an analysis so far. `pass` and `fail` are final; `wait` needs more time, `hold` has no data.
 */
export interface Assessment {
  outcome: "wait" | "hold" | "pass" | "fail"
  reason: string
}

/** The state of a rule after the last sample. Times in seconds. */
interface State {
  rule: Rule
  /** The measured value; none without data. */
  value?: number
  /** For how long the rule has been broken without a good value between. */
  broken?: number
  /** For how long there has been no data. */
  silent: number
  /** Why there is no data. */
  missing?: string
}

/**
 * Assesses one version by its samples since the step began.
 *
 * Each rule is measured at each sample. Error rate and p95 are measured over a window that ends at the sample. The window is a third of the rule's `for` (or its `window`), and longer
 * where that has too few requests, up to `for`. A smaller window would leave the result to chance: of 20 requests to a version that fails every fifth one, in one of five cases
 * at most two fail. Failing pods are counted at the sample.
 *
 * A broken rule is pending, and fails when it was broken for all of `for`. One good value ends that; a sample without data does not. Without data the step holds, and
 * fails after `noDataTimeout`. At its end a step passes only when every rule has data and none is pending, so a step shorter than `for` cannot pass by being short.
 *
 * @param history samples of one role since the step began, oldest first
 * @param step how long the step has lasted and how long it is, in milliseconds
 */
export function assess(
  history: Sample[],
  settings: AnalysisSettings,
  step: { elapsed: number; duration: number },
): Assessment {
  // A source that gives no sample at all is as silent as one that reports no data.
  if (history.length === 0) return silence("nothing was measured yet", step.elapsed / 1000, settings)
  const states = settings.rules.map((rule) => stateOf(rule, history))

  const failed = states.filter(({ rule, value, broken = -1 }) => value !== undefined && broken >= rule.for)
  if (failed.length > 0) return { outcome: "fail", reason: failed.map(ruleText).join("; ") }

  const silent = states.filter(({ value }) => value === undefined)
  const [longest] = [...silent].sort((one, other) => other.silent - one.silent)
  if (longest) return silence(ruleText(longest), longest.silent, settings)

  const pending = states.filter(({ broken }) => broken !== undefined)
  if (pending.length > 0) return { outcome: "wait", reason: pending.map(ruleText).join("; ") }
  const reason = states.map(ruleText).join("; ")
  return { outcome: step.elapsed >= step.duration ? "pass" : "wait", reason }
}

function silence(why: string, seconds: number, { noDataTimeout }: AnalysisSettings): Assessment {
  const length = Math.floor(seconds)
  return seconds >= noDataTimeout
    ? { outcome: "fail", reason: `no data for ${length} s, which is not healthy: ${why}` }
    : { outcome: "hold", reason: `no data for ${length} s of at most ${noDataTimeout} s: ${why}` }
}

function stateOf(rule: Rule, history: Sample[]): State {
  let now = 0
  let heard = 0
  let since: number | undefined
  let value: number | undefined
  for (const [index, observation] of history.entries()) {
    // The first sample covers the time before the step.
    if (index > 0) now += observation.seconds
    value = measure(rule, history, index)
    if (value === undefined) continue
    heard = now
    since = value > rule.above ? (since ?? now) : undefined
  }
  return {
    rule,
    silent: now - heard,
    ...(value !== undefined && { value }),
    ...(since !== undefined && { broken: now - since }),
    ...(value === undefined && { missing: why(rule, history) }),
  }
}

/** The value of a rule at a sample; none where there is too little data. */
function measure(rule: Rule, history: Sample[], index: number): number | undefined {
  const observation = history[index]
  if (rule.metric === "failing-pods") {
    // Known even when no pod answers, but not when the pods could not be listed.
    const { wanted = 0, failing = 0 } = observation?.pods ?? {}
    return wanted > 0 ? (100 * failing) / wanted : undefined
  }
  if (observation?.missing !== undefined) return undefined
  const { requests, errors, p95, longest } = totals(window(rule, history, index))
  if (requests < rule.requests) return undefined
  if (rule.metric === "error-rate") return (100 * errors) / requests
  // A percentile is never above the last bucket: such a histogram cannot break the rule, so it proves nothing.
  return longest !== undefined && longest <= rule.above ? undefined : p95
}

/** The samples that a rule measures together, newest first. */
function window(
  {
    for: longest,
    requests: least,
    window: shortest = longest / 3,
  }: Exclude<Rule, { metric: "failing-pods" }>,
  history: Sample[],
  index: number,
): Sample[] {
  const seen: Sample[] = []
  let seconds = 0
  let requests = 0
  for (const observation of history.slice(0, index + 1).reverse()) {
    const enough = seconds >= shortest && requests >= least
    if (seen.length > 0 && (enough || seconds + observation.seconds > longest)) break
    seen.push(observation)
    seconds += observation.seconds
    requests += observation.requests
  }
  return seen
}

function why(rule: Rule, history: Sample[]): string {
  const last = history.length - 1
  const missing = history[last]?.missing
  if (missing !== undefined) return missing
  if (rule.metric === "failing-pods") return "no pods are wanted"
  const { requests, longest } = totals(window(rule, history, last))
  if (requests < rule.requests) return `${requests} of at least ${rule.requests} requests`
  return rule.metric === "p95" && longest !== undefined && longest <= rule.above
    ? `the histogram ends at ${longest} ms and cannot show more than ${rule.above} ms`
    : "no durations"
}

const titles = { "error-rate": "error rate", p95: "p95", "failing-pods": "failing pods" }

/** Such as `error rate 12 % is above 10 % for 20 s of 180 s`. */
function ruleText({ rule, value, broken, missing }: State): string {
  const unit = (number: number) => (rule.metric === "p95" ? `${Math.round(number)} ms` : rateText(number))
  const title = titles[rule.metric]
  if (value === undefined) return `${title}: ${missing ?? "unknown"}`
  if (broken === undefined) return `${title} ${unit(value)} is not above ${unit(rule.above)}`
  return `${title} ${unit(value)} is above ${unit(rule.above)} for ${Math.floor(broken)} s of ${rule.for} s`
}
