import type { PhaseChange } from "./phase-change.js"

/** One request of the load and its result. */
export interface LoadRequest {
  /** When it was sent, in milliseconds since the epoch. */
  at: number
  /** Milliseconds until the answer. */
  took: number
  /** HTTP status; 0 if there was no answer. */
  status: number
  /** The mark of the image that answered; empty for an image without one and for the router. */
  mark: string
}

/** The raw data of a rehearsal. */
export interface Recording {
  requests: LoadRequest[]
  /** Requests that were due but not sent, because the load generator could not keep up. */
  unsent: number
  changes: PhaseChange[]
  /** The mark of the candidate's image. */
  mark: string
  /** When the command started, and when it (or its last repetition) ended: milliseconds since the epoch. */
  began: number
  ended: number
}

export interface Measurements {
  outcome: string
  sent: number
  unsent: number
  /** Requests without a 2xx answer. */
  failed: number
  /** Failed requests that the candidate answered itself. */
  failedByCandidate: number
  /** The first failed request that the candidate did not answer: its status, and the seconds after the command at which it was sent. */
  firstLost?: { status: number; after: number }
  /** 95th percentile of response times in milliseconds, before the command and during it. */
  p95Before: number
  p95During: number
  /** Seconds from the command to the state promoted. */
  secondsToPromoted?: number
  /** Seconds between the first and the last request that failed or that the candidate answered too slowly. */
  secondsHurt?: number
  /** Per canary step: the percentage of requests that the candidate should get, and the percentage it got. */
  shares: { weight: number; measured: number; requests: number }[]
}

/** Milliseconds that a router may take to apply a new weight. */
const settling = 1_000

const failed = ({ status }: LoadRequest) => status < 200 || status > 299

/**
 * Computes the measurements of a rehearsal.
 *
 * @param slow milliseconds above which an answer of the candidate affects users
 */
export function measure(
  { requests, unsent, changes, mark, began, ended }: Recording,
  slow: number,
): Measurements {
  const byCandidate = (request: LoadRequest) => request.mark === mark
  // A slow answer of the stable revision does not count: it only shows that this machine was busy.
  const affected = requests.filter(
    (request) => failed(request) || (byCandidate(request) && request.took > slow),
  )
  const times = affected.map(({ at }) => at).sort((one, other) => one - other)
  const lost = requests.find((request) => failed(request) && !byCandidate(request))
  const promoted = changes.find(({ phase }) => phase === "promoted")
  const last = changes.at(-1)?.phase ?? "not begun"
  return {
    // In both phases the stable revision has all traffic again.
    outcome: last === "aborting" ? "aborted" : last,
    sent: requests.length,
    unsent,
    failed: requests.filter(failed).length,
    failedByCandidate: requests.filter((request) => failed(request) && byCandidate(request)).length,
    ...(lost && { firstLost: { status: lost.status, after: (lost.at - began) / 1000 } }),
    p95Before: percentile(
      requests.filter(({ at }) => at < began),
      0.95,
    ),
    p95During: percentile(
      requests.filter(({ at }) => at >= began && at <= ended),
      0.95,
    ),
    ...(promoted && { secondsToPromoted: (promoted.at - began) / 1000 }),
    ...(times.length > 0 && { secondsHurt: ((times.at(-1) ?? 0) - (times[0] ?? 0)) / 1000 }),
    shares: sharesOf(requests, changes, mark),
  }
}

function percentile(requests: LoadRequest[], share: number): number {
  const sorted = requests.map(({ took }) => took).sort((one, other) => one - other)
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? NaN
}

/** Measures the candidate's share in each step with shared traffic. Unanswered requests carry no mark, so they do not count. */
function sharesOf(requests: LoadRequest[], changes: PhaseChange[], mark: string): Measurements["shares"] {
  return changes.flatMap(({ at, phase, weight }, index) => {
    const next = changes[index + 1]
    if (phase !== "shifting" || !next) return []
    const answered = requests.filter(
      (request) => request.at >= at + settling && request.at < next.at && request.status !== 0,
    )
    if (answered.length === 0) return []
    const byCandidate = answered.filter((request) => request.mark === mark).length
    return [{ weight, measured: (100 * byCandidate) / answered.length, requests: answered.length }]
  })
}
