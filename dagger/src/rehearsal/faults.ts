import type { AnalysisSettings } from "../backends/analysis/rules.js"
import { columns } from "../lib/text.js"
import type { Expectation } from "./measurements/expectation.js"
import type { Phase } from "../backends/rollout/rollout.js"
import type { Strategy } from "../delivery/strategy.js"

/** A fault that a rehearsal injects. */
export interface Fault {
  description: string
  /** The fault of the candidate's program; see `dagger/config/rehearsal/planted.py`. */
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
  /** Variables of the candidate. */
  variables?: Record<string, string>
  /** Overrides settings of the analysis. */
  analysis?: Partial<AnalysisSettings>
  /** A fault of the deploy or the cluster instead of the candidate. */
  disruption?: Disruption
  expected: Record<Strategy, Expectation>
}

/** A phase of the rollout; `exposed` is the first one in which the candidate has users. */
export type Moment = Phase | "exposed"

export type Disruption =
  /** The command is killed when the rollout reaches this moment. */
  | { kind: "killed"; at: Moment; resumed: boolean }
  | { kind: "two deployers" }
  /** For this many seconds from this moment on. */
  | { kind: "no API"; at: Moment; seconds: number }
  | { kind: "API killed"; at: Moment }
  | { kind: "no room" }
  | { kind: "clock"; zone: string }

const always = (expected: Expectation): Record<Strategy, Expectation> => ({
  "blue-green": expected,
  canary: expected,
})

/** Found before the candidate has users. */
const neverExposed = always({ outcome: "aborted", lost: "none" })
const unharmed = always({ outcome: "promoted", lost: "none" })
/** Found while the candidate has users; 30 s are enough for the short windows of rehearsals. */
const takenBack = always({ outcome: "aborted", lost: "candidate", within: 30 })

/** Samples every second, so that even a short step has enough points. With this confidence one step in a thousand is a false alarm. */
const compared: Partial<AnalysisSettings> = {
  interval: 1,
  comparison: { metric: "p50", confidence: 99.8, points: 8, baseline: "fresh" },
}

const killed = (at: Phase): Fault => ({
  description: `the deploy is killed while ${at}, and the same command is run again`,
  disruption: { kind: "killed", at, resumed: true },
  expected: unharmed,
})

/** All faults, by name. */
export const faults = {
  none: { description: "nothing goes wrong", expected: unharmed },
  judged: {
    description: "nothing goes wrong, and the candidate is compared with a fresh baseline",
    analysis: compared,
    expected: unharmed,
  },
  "crash-at-start": {
    description: "the candidate exits at once",
    image: "ends at once",
    expected: neverExposed,
  },
  "never-ready": {
    description: "the candidate runs but never becomes ready",
    planted: "never-ready",
    expected: neverExposed,
  },
  broken: {
    description: "every answer of the candidate is an error, also at its preview address",
    planted: "broken",
    expected: neverExposed,
  },
  "error-rate": {
    description: "every answer of the candidate to users is an error; its preview address works",
    planted: "error-rate",
    expected: takenBack,
  },
  latency: {
    description: "the candidate answers users after 3 s",
    planted: "latency",
    expected: takenBack,
  },
  slower: {
    description: "the candidate answers users 80 ms later: within all rules, but visible in a comparison",
    planted: "slower",
    analysis: compared,
    // Blue-green cannot compare: only one of the revisions has users.
    expected: {
      canary: { outcome: "aborted", lost: "none" },
      "blue-green": { outcome: "promoted", lost: "none" },
    },
  },
  "memory-leak": {
    description: "the candidate leaks memory with every request of users until it is killed",
    planted: "memory-leak",
    expected: always({ outcome: "aborted", lost: "unanswered", within: 60 }),
  },
  "after-promotion": {
    description: "the candidate works until it has all traffic",
    planted: "after-promotion",
    expected: takenBack,
  },
  "bad-configuration": {
    description: "the candidate rejects its configuration",
    variables: { DB_POOL_SIZE: "plenty" },
    expected: neverExposed,
  },
  "image-missing": {
    description: "the registry does not have the candidate's image",
    image: "is not there",
    expected: neverExposed,
  },
  "node-pressure": {
    description: "no node accepts the candidate's pods",
    disruption: { kind: "no room" },
    expected: neverExposed,
  },
  "api-restart": {
    description: "the API server is killed while traffic shifts, and restarts",
    disruption: { kind: "API killed", at: "exposed" },
    expected: unharmed,
  },
  "api-unreachable": {
    description: "the deploy cannot reach the API server for 20 s while traffic shifts",
    disruption: { kind: "no API", at: "exposed", seconds: 20 },
    expected: unharmed,
  },
  "metrics-down": {
    description: "the candidate's metrics cannot be read",
    planted: "metrics-down",
    expected: neverExposed,
  },
  "two-deployers": {
    description: "a second deploy is started while the first one runs",
    disruption: { kind: "two deployers" },
    expected: unharmed,
  },
  clock: {
    description: "the deployer is in another time zone, half a day away",
    disruption: { kind: "clock", zone: "Pacific/Auckland" },
    expected: unharmed,
  },
  "killed-preparing": killed("preparing"),
  "killed-verifying": killed("verifying"),
  "killed-shifting": killed("shifting"),
  "killed-promoting": killed("promoting"),
  "killed-settling": killed("settling"),
  unattended: {
    description: "the deploy is killed while its revision has users, and nobody runs it again",
    disruption: { kind: "killed", at: "exposed", resumed: false },
    expected: always({ outcome: "aborted", lost: "none" }),
  },
} as const satisfies Record<string, Fault>

export type FaultName = keyof typeof faults

export const faultNames = Object.keys(faults) as FaultName[]

/** Formats the faults as a table. */
export function faultTable(): string {
  const rows = faultNames.map((name) => [name, faults[name].description])
  return columns([["FAULT", "DESCRIPTION"], ...rows])
}

/** @throws Error for an unknown name, with all known ones */
export function faultOf(name: string): Fault {
  const known = faultNames.find((one) => one === name)
  if (!known) throw new Error(`there is no fault "${name}"; allowed: ${faultNames.join(", ")}`)
  return faults[known]
}
