import { columns, duration } from "../lib/text.js"
import type { Strategy } from "../delivery/strategy.js"
import type { Expected } from "./faults.js"
import type { PeerName } from "./peers/index.js"

/** One request of the load, and what came of it. */
export interface Request {
  /** When it was sent, in milliseconds since the epoch. */
  at: number
  /** How long it took, in milliseconds. */
  took: number
  /** 0: there was no answer. */
  status: number
  /** The mark of the image that answered; empty: an image without one, or the router. */
  mark: string
}

/** How a rollout stood, from a moment on. */
export interface Sight {
  /** In milliseconds since the epoch, as that of requests. */
  at: number
  phase: string
  /** Share of requests that the candidate is to get, in percent. */
  weight: number
}

/** What a rehearsal left behind. */
export interface Recording {
  requests: Request[]
  /** Requests that were due and not sent: the load could not keep up. */
  unsent: number
  sights: Sight[]
  /** The mark of the candidate. */
  mark: string
  /** When the command was given, and when it, or the last of its kind, ended. */
  began: number
  ended: number
}

export interface Figures {
  outcome: string
  sent: number
  unsent: number
  /** All that was not answered with 2xx. */
  failed: number
  /** Those that the candidate failed itself. */
  failedByCandidate: number
  /** The first of the others: its status, and how many seconds after the command it was sent. */
  firstLost?: { status: number; after: number }
  /** In milliseconds: 95 % were answered in so much, before the command was given and from then on. */
  p95Before: number
  p95During: number
  /** From the command to the state promoted. */
  secondsToPromoted?: number
  /** From the first request that failed, or that the candidate took too long for, to the last one: users were hurt for so long. */
  secondsHurt?: number
  /** By step of a canary: what the candidate was to get of requests, and what it got, in percent. */
  shares: { weight: number; measured: number; requests: number }[]
}

/** Milliseconds above which a request to the candidate is hurt, answered or not: what the platform's p95 rule allows. */
const slow = 2_000
/** Share of requests that the load may fall behind by, in percent, and still be steady. */
const behind = 1
/** Milliseconds that a router may take to hear of a weight. */
const settling = 1_000

const failed = ({ status }: Request) => status < 200 || status > 299

/** What is to be read off a rehearsal. */
export function figuresOf({ requests, unsent, sights, mark, began, ended }: Recording): Figures {
  const during = requests.filter(({ at }) => at >= began && at <= ended)
  const own = (request: Request) => request.mark === mark
  // A slow answer of the stable revision is this machine's doing, which all of it happens on.
  const hurt = requests.filter((request) => failed(request) || (own(request) && request.took > slow))
  const moments = hurt.map(({ at }) => at)
  const lost = requests.find((request) => failed(request) && !own(request))
  const promoted = sights.find(({ phase }) => phase === "promoted")
  const last = sights.at(-1)?.phase ?? "not begun"
  return {
    // All traffic is back with both.
    outcome: last === "aborting" ? "aborted" : last,
    sent: requests.length,
    unsent,
    failed: requests.filter(failed).length,
    failedByCandidate: requests.filter((request) => failed(request) && own(request)).length,
    ...(lost && { firstLost: { status: lost.status, after: (lost.at - began) / 1000 } }),
    p95Before: percentile(
      requests.filter(({ at }) => at < began),
      0.95,
    ),
    p95During: percentile(during, 0.95),
    ...(promoted && { secondsToPromoted: (promoted.at - began) / 1000 }),
    ...(hurt.length > 0 && { secondsHurt: (Math.max(...moments) - Math.min(...moments)) / 1000 }),
    shares: sharesOf(requests, sights, mark),
  }
}

function percentile(requests: Request[], share: number): number {
  const sorted = requests.map(({ took }) => took).sort((one, other) => one - other)
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? NaN
}

/** What the candidate had of each step in which it shared traffic. Only answered requests say whose they were. */
function sharesOf(requests: Request[], sights: Sight[], mark: string): Figures["shares"] {
  return sights.flatMap(({ at, phase, weight }, index) => {
    const next = sights[index + 1]
    if (phase !== "shifting" || !next) return []
    const there = requests.filter(
      (request) => request.at >= at + settling && request.at < next.at && request.status !== 0,
    )
    if (there.length === 0) return []
    const own = there.filter((request) => request.mark === mark).length
    return [{ weight, measured: (100 * own) / there.length, requests: there.length }]
  })
}

/** What a rehearsal came to that it should not have come to; nothing, if all is as expected. */
export function unmet(figures: Figures, { outcome, lost, within }: Expected): string[] {
  const { unsent, firstLost } = figures
  const first = firstLost
    ? `: the first with status ${firstLost.status}, ${firstLost.after.toFixed(1)} s after the command`
    : ""
  const strangers = figures.failed - figures.failedByCandidate
  const faults = [
    figures.outcome === outcome ? "" : `it ended ${figures.outcome}, and not ${outcome}`,
    figures.sent > 0 ? "" : "no request was sent, so nothing was shown",
    unsent > (behind / 100) * figures.sent
      ? `${unsent} requests were due and not sent, so the load was not steady`
      : "",
    lost === "none" && figures.failed > 0 ? `${figures.failed} requests failed, and none had to${first}` : "",
    lost === "candidate" && strangers > 0
      ? `${strangers} requests failed that the candidate has not failed itself${first}`
      : "",
    within !== undefined && (figures.secondsHurt ?? 0) > within
      ? `users were hurt for ${duration(figures.secondsHurt ?? 0)}, and not for ${within} s at most`
      : "",
  ]
  return faults.filter((fault) => fault !== "")
}

/** A rehearsal with what came of it. */
export interface Rehearsed {
  fault: string
  /** Of ours, or which peer it was rehearsed with. */
  strategy: Strategy | PeerName
  figures: Figures
  unmet: string[]
  /** What the command said at its end, in one line. */
  message: string
}

export function table(all: Rehearsed[]): string {
  const head = [
    ...["FAULT", "STRATEGY", "OUTCOME", "SENT", "FAILED", "OF THESE CANDIDATE'S", "P95 BEFORE", "P95 DURING"],
    ...["PROMOTED AFTER", "HURT FOR", "SHARE OF CANDIDATE", "AS EXPECTED"],
  ]
  const rows = all.map(({ fault, strategy, figures, unmet: faults }) => [
    fault,
    strategy,
    figures.outcome,
    `${figures.sent}${figures.unsent > 0 ? ` (${figures.unsent} not sent)` : ""}`,
    String(figures.failed),
    String(figures.failedByCandidate),
    `${Math.round(figures.p95Before)} ms`,
    `${Math.round(figures.p95During)} ms`,
    figures.secondsToPromoted === undefined ? "–" : duration(figures.secondsToPromoted),
    figures.secondsHurt === undefined ? "–" : duration(figures.secondsHurt),
    figures.shares
      .map(
        ({ weight, measured, requests }) =>
          `${weight} %: ${measured.toFixed(1)} % of ${requests.toLocaleString("en-US")}`,
      )
      .join(", ") || "–",
    faults.length === 0 ? "yes" : `no: ${faults.join("; ")}`,
  ])
  return columns([head, ...rows])
}
