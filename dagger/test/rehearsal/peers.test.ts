import { describe, expect, it } from "vitest"
import { peerNames, peerOf } from "../../src/rehearsal/peers/index.js"
import { candidate, isComplete, type PeerState, watch } from "../../src/rehearsal/peers/peer.js"
import { queryOf } from "../../src/rehearsal/peers/prometheus.js"

describe("peers", () => {
  it("are found by name, and unknown names are refused", () => {
    expect(peerNames.map(peerOf)).toEqual(["kubectl", "argo-rollouts", "flagger"])
    expect(() => peerOf("spinnaker")).toThrow(
      'there is no peer "spinnaker"; allowed: kubectl, argo-rollouts, flagger',
    )
  })
})

describe("the query of a rule", () => {
  const traffic = { for: 6, requests: 5 }

  it("measures the share of users' requests that failed, and takes a missing series for zero errors", () => {
    expect(queryOf({ metric: "error-rate", above: 10, ...traffic }, 'hash="a"')).toBe(
      '100 * (sum(rate(http_requests_total{hash="a",route!~"/health/live|/health/ready|/metrics",status=~"5.."}[4s])) or vector(0))' +
        ' / sum(rate(http_requests_total{hash="a",route!~"/health/live|/health/ready|/metrics"}[4s]))',
    )
  })

  it("measures milliseconds over the rule's own window", () => {
    expect(queryOf({ metric: "p95", above: 2000, window: 30, ...traffic, for: 90 }, 'hash="a"')).toBe(
      "1000 * histogram_quantile(0.95, sum by (le) " +
        '(rate(http_request_duration_seconds_bucket{hash="a",route!~"/health/live|/health/ready|/metrics"}[30s])))',
    )
  })

  it("does not exist for a rule that is not about requests", () => {
    expect(queryOf({ metric: "failing-pods", above: 50, for: 6 }, 'hash="a"')).toBeUndefined()
  })
})

describe("a candidate", () => {
  it("is the same pods with another image and other variables", () => {
    const pods = { containers: [{ name: "api", image: "old", ports: [] }], volumes: [] }
    const running = { kind: "Rollout", spec: { replicas: 2, template: { metadata: {}, spec: pods } } }
    const changed = candidate(running, "new", { DB_POOL_SIZE: "plenty" })
    expect(changed).toEqual({
      kind: "Rollout",
      spec: {
        replicas: 2,
        template: {
          metadata: {},
          spec: {
            containers: [
              { name: "api", image: "new", ports: [], env: [{ name: "DB_POOL_SIZE", value: "plenty" }] },
            ],
            volumes: [],
          },
        },
      },
    })
    expect(running.spec.template.spec.containers[0]?.image).toBe("old")
  })
})

describe("a Deployment", () => {
  const status = { observedGeneration: 3, replicas: 2, updatedReplicas: 2, availableReplicas: 2 }
  const complete = { metadata: { generation: 3 }, spec: { replicas: 2 }, status }

  it("is complete when all pods are new and available, and the controller has seen the last change", () => {
    const told = (changed: object) => isComplete({ ...complete, ...changed })
    expect(told({})).toBe(true)
    expect(told({ status: { ...status, replicas: 3 } })).toBe(false)
    expect(told({ status: { ...status, availableReplicas: 1 } })).toBe(false)
    expect(told({ metadata: { generation: 4 } })).toBe(false)
    expect(told({ status: undefined })).toBe(false)
  })
})

describe("watching a rollout", () => {
  it("returns its changes up to its end", async () => {
    const states: PeerState[] = [
      { phase: "preparing", weight: 0, over: false },
      { phase: "shifting", weight: 10, over: false },
      { phase: "shifting", weight: 10, over: false },
      { phase: "aborted", weight: 0, over: true },
    ]
    const next = () => Promise.resolve(states.shift() ?? { phase: "?", weight: 0, over: true })
    const changes = await watch(next, 1)
    expect(changes.map(({ phase, weight }) => `${phase} ${weight}`)).toEqual([
      "preparing 0",
      "shifting 10",
      "aborted 0",
    ])
    expect(changes.every(({ at }) => Math.abs(Date.now() - at) < 60_000)).toBe(true)
  })

  it("ends at the limit", async () => {
    const next = () => Promise.resolve({ phase: "shifting", weight: 10, over: false })
    await expect(watch(next, 1, 20)).rejects.toThrow("not over after 0.02 s: shifting, 10 % of requests")
  })
})
