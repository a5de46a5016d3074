import { duration } from "../../lib/text.js"
import type { Measurements } from "./measurements.js"

/** How a rehearsal must end. */
export interface Expectation {
  /** What becomes of the candidate. */
  outcome: "promoted" | "aborted"
  /**
   * Which requests may fail: none, those that the candidate answers itself, or also those that reach none of its pods. Any other failed request was lost by
   * the delivery.
   */
  lost: "none" | "candidate" | "unanswered"
  /** Seconds for which users may be affected at most. */
  within?: number
}

/** Percentage of requests that the load generator may fail to send and still count as steady. */
const toleratedUnsent = 1

/** Lists how the measurements differ from the expectation; empty when they meet it. */
export function unmet(measurements: Measurements, { outcome, lost, within }: Expectation): string[] {
  const { unsent, firstLost } = measurements
  const first = firstLost
    ? `: the first with status ${firstLost.status}, ${firstLost.after.toFixed(1)} s after the command`
    : ""
  const failedElsewhere = measurements.failed - measurements.failedByCandidate
  const differences = [
    measurements.outcome === outcome ? "" : `it ended ${measurements.outcome} instead of ${outcome}`,
    measurements.sent > 0 ? "" : "no request was sent, so nothing was measured",
    unsent > (toleratedUnsent / 100) * measurements.sent
      ? `${unsent} requests were due but not sent, so the load was not steady`
      : "",
    lost === "none" && measurements.failed > 0
      ? `${measurements.failed} requests failed; allowed: none${first}`
      : "",
    lost === "candidate" && failedElsewhere > 0
      ? `${failedElsewhere} requests failed that the candidate did not answer${first}`
      : "",
    within !== undefined && (measurements.secondsHurt ?? 0) > within
      ? `users were affected for ${duration(measurements.secondsHurt ?? 0)}; allowed: ${within} s`
      : "",
  ]
  return differences.filter((difference) => difference !== "")
}
