import type { AnalysisSettings } from "../backends/analysis/rules.js"
import { columns } from "../lib/text.js"
import type { Expectation } from "./measurements/expectation.js"
import type { Phase } from "../backends/rollout/rollout.js"
import type { Strategy } from "../delivery/strategy.js"

/** Something that goes wrong in a rehearsal. */
export interface Fault {
  what: string
  /** What is wrong with the candidate's image; see `dagger/config/rehearsal/planted.py`. */
  planted?:
    | "error-rate"
    | "latency"
    | "slower"
    | "memory-leak"
    | "after-promotion"
    | "never-ready"
    | "metrics-down"
    | "broken"
  image?: "ends at once" | "is not there"
  /** Variables that the candidate is configured with. */
  variables?: Record<string, string>
  /** Laid over the settings of the analysis. */
  analysis?: Partial<AnalysisSettings>
  /** What happens around the deploy. */
  around?: Around
  expected: Record<Strategy, Expectation>
}

/** A phase, or the first one in which the candidate has users. */
export type Moment = Phase | "exposed"

export type Around =
  /** The command dies when the rollout comes there. */
  | { kind: "killed"; at: Moment; resumed: boolean }
  | { kind: "two deployers" }
  /** For so many seconds, from the moment that the rollout comes there. */
  | { kind: "no API"; at: Moment; seconds: number }
  | { kind: "API killed"; at: Moment }
  | { kind: "no room" }
  | { kind: "clock"; zone: string }

const always = (expected: Expectation): Record<Strategy, Expectation> => ({
  "blue-green": expected,
  canary: expected,
})

/** Seen before it has users. */
const neverExposed = always({ outcome: "aborted", lost: "none" })
const unharmed = always({ outcome: "promoted", lost: "none" })
/** Taken back while it has users: in so many seconds of the rehearsal's short windows. */
const takenBack = always({ outcome: "aborted", lost: "candidate", within: 30 })

/** With a judge, looks so close to each other that even a short step has points enough, and a false alarm in one of a thousand steps. */
const judged: Partial<AnalysisSettings> = {
  interval: 1,
  comparison: { metric: "p50", confidence: 99.8, points: 8, baseline: "fresh" },
}

const killed = (at: Phase): Fault => ({
  what: `the deploy dies while it is ${at}, and the same command is given again`,
  around: { kind: "killed", at, resumed: true },
  expected: unharmed,
})

/** What can be rehearsed. */
export const faults = {
  none: { what: "nothing goes wrong", expected: unharmed },
  judged: {
    what: "nothing goes wrong, and a judge compares with a fresh baseline",
    analysis: judged,
    expected: unharmed,
  },
  "crash-at-start": { what: "the candidate ends at once", image: "ends at once", expected: neverExposed },
  "never-ready": {
    what: "the candidate runs and is never ready",
    planted: "never-ready",
    expected: neverExposed,
  },
  broken: {
    what: "every answer of the candidate is an error, at its preview address too",
    planted: "broken",
    expected: neverExposed,
  },
  "error-rate": {
    what: "every answer of the candidate to users is an error, and its preview address is well",
    planted: "error-rate",
    expected: takenBack,
  },
  latency: {
    what: "the candidate takes 3 s for every answer to users",
    planted: "latency",
    expected: takenBack,
  },
  slower: {
    what: "the candidate takes 80 ms more for every answer to users, which no rule minds and a judge sees",
    planted: "slower",
    analysis: judged,
    // Blue-green has nothing to compare with: never have both users.
    expected: {
      canary: { outcome: "aborted", lost: "none" },
      "blue-green": { outcome: "promoted", lost: "none" },
    },
  },
  "memory-leak": {
    what: "the candidate leaks memory with every request of users, and is killed for it",
    planted: "memory-leak",
    expected: always({ outcome: "aborted", lost: "unanswered", within: 60 }),
  },
  "after-promotion": {
    what: "the candidate is well until it has all traffic",
    planted: "after-promotion",
    expected: takenBack,
  },
  "bad-configuration": {
    what: "the candidate refuses its configuration",
    variables: { DB_POOL_SIZE: "plenty" },
    expected: neverExposed,
  },
  "image-missing": {
    what: "the registry does not have the candidate's image",
    image: "is not there",
    expected: neverExposed,
  },
  "node-pressure": {
    what: "there is no node for the candidate's pods",
    around: { kind: "no room" },
    expected: neverExposed,
  },
  "api-restart": {
    what: "the API server is killed while traffic shifts, and starts again",
    around: { kind: "API killed", at: "exposed" },
    expected: unharmed,
  },
  "api-unreachable": {
    what: "no API server answers whoever deploys for 20 s while traffic shifts",
    around: { kind: "no API", at: "exposed", seconds: 20 },
    expected: unharmed,
  },
  "metrics-down": {
    what: "the candidate's metrics do not answer",
    planted: "metrics-down",
    expected: neverExposed,
  },
  "two-deployers": {
    what: "a second command is given while the first one works",
    around: { kind: "two deployers" },
    expected: unharmed,
  },
  clock: {
    what: "who deploys lives in another time zone, half a day away",
    around: { kind: "clock", zone: "Pacific/Auckland" },
    expected: unharmed,
  },
  "killed-preparing": killed("preparing"),
  "killed-verifying": killed("verifying"),
  "killed-shifting": killed("shifting"),
  "killed-promoting": killed("promoting"),
  "killed-settling": killed("settling"),
  unattended: {
    what: "the deploy dies while its revision has users, and nobody comes back",
    around: { kind: "killed", at: "exposed", resumed: false },
    expected: always({ outcome: "aborted", lost: "none" }),
  },
} as const satisfies Record<string, Fault>

export type FaultName = keyof typeof faults

export const faultNames = Object.keys(faults) as FaultName[]

/** What can be rehearsed, a line each. */
export function faultTable(): string {
  const rows = faultNames.map((name) => [name, faults[name].what])
  return columns([["FAULT", "WHAT GOES WRONG"], ...rows])
}

/** @throws Error for a name that is none */
export function faultOf(name: string): Fault {
  const known = faultNames.find((one) => one === name)
  if (!known) throw new Error(`there is no fault "${name}"; allowed: ${faultNames.join(", ")}`)
  return faults[known]
}
