import { describe, expect, it } from "vitest"
import { strategies } from "../../../src/delivery/strategy.js"
import type { Assessment } from "../../../src/backends/analysis/rules.js"
import {
  abort,
  nextState,
  analysisDuration,
  trafficSplit,
  type RolloutSnapshot,
  isExposed,
  usesFreshBaseline,
  isOver,
  needsBaseline,
  type Phase,
  phases,
  type Rollout,
  takeOver,
} from "../../../src/backends/rollout/rollout.js"
import type { RolloutSettings } from "../../../src/backends/rollout/configuration.js"
import { analysis, rollout, settings } from "./fixtures.js"

const began = 1_000_000
const after = (seconds: number) => began + seconds * 1000
const up = { wanted: 3, ready: 3, serving: 3 }
const none = { wanted: 3, ready: 0, serving: 0 }
const says = (outcome: Assessment["outcome"]): Assessment => ({ outcome, reason: `it is ${outcome}` })
const well: RolloutSnapshot = {
  candidate: up,
  watchdog: { ready: true, reason: "" },
  route: { accepted: true, reason: "" },
  elapsed: 0,
  smokeTest: { ok: true, reason: "it is well" },
  assessment: says("pass"),
}
/** The next state, `now - since` after this command saw the present one. */
const decide = (state: Rollout, facts: RolloutSnapshot, plan: RolloutSettings, now: number): Rollout =>
  nextState(state, { ...facts, elapsed: now - state.since }, plan, now)
const next = (
  change: Partial<Rollout>,
  facts: Partial<RolloutSnapshot> = {},
  seconds = 1,
  plan = settings(),
): Rollout => decide(rollout(change), { ...well, ...facts }, plan, after(seconds))

/** The first rollout of a service. */
function firstOf(state: Rollout): Rollout {
  const first = { ...state }
  delete first.stable
  return first
}

/** Every state that there is, with what it may be about; only where there is something to share with are there shares. */
const states: Rollout[] = phases.flatMap((phase) =>
  strategies.flatMap((strategy) =>
    (["deploy", "rollback"] as const).flatMap((kind) =>
      [0, 1].flatMap((step) => {
        const state = rollout({ phase, strategy, kind, step })
        const compared =
          strategy === "canary" && kind === "deploy" ? [{ ...state, baseline: true as const }] : []
        return phase === "shifting" ? [state, ...compared] : [state, firstOf(state), ...compared]
      }),
    ),
  ),
)
const named = states.map((state): [string, Rollout] => {
  const { phase, strategy, kind, step, stable, baseline } = state
  const first = stable === undefined ? " the first" : ""
  return [`${phase} ${strategy} ${kind} ${step}${first}${baseline ? " with a baseline" : ""}`, state]
})
const candidates: RolloutSnapshot["candidate"][] = [
  up,
  { wanted: 3, ready: 1, serving: 1 },
  { wanted: 3, ready: 0, serving: 0 },
  { wanted: 3, ready: 0, serving: 0, failure: "pod-1: it ended with exit code 1, 2 times" },
  { wanted: 0, ready: 0, serving: 0 },
]
const everyFacts: RolloutSnapshot[] = candidates.flatMap((candidate) =>
  [
    {},
    { watchdog: { ready: false, reason: "no token" } },
    { route: { accepted: false, reason: "NotAllowedByListeners" } },
    ...candidates.map((baseline) => ({ baseline })),
  ].flatMap((rest) =>
    [undefined, { ok: true, reason: "well" }, { ok: false, reason: "its database is down" }].flatMap(
      (smoke) =>
        [undefined, says("wait"), says("hold"), says("pass"), says("fail")].map((assessment) => ({
          ...well,
          assessment: undefined,
          smokeTest: undefined,
          candidate,
          ...rest,
          ...(smoke && { smokeTest: smoke }),
          ...(assessment && { assessment }),
        })),
    ),
  ),
)

describe("advance", () => {
  it.each<[string, Partial<Rollout>, Partial<RolloutSnapshot>, number, Phase, number, string]>([
    [
      "goes on when all pods are ready",
      { phase: "preparing" },
      {},
      1,
      "verifying",
      0,
      "3 of 3 pods are ready",
    ],
    [
      "waits for pods",
      { phase: "preparing" },
      { candidate: { ...up, ready: 2 } },
      59,
      "preparing",
      0,
      "asked for",
    ],
    [
      "does not take no pods for ready ones",
      { phase: "preparing" },
      { candidate: { wanted: 0, ready: 0, serving: 0 } },
      59,
      "preparing",
      0,
      "asked for",
    ],
    [
      "gives up at the deadline",
      { phase: "preparing" },
      { candidate: { ...up, ready: 2 } },
      60,
      "aborting",
      0,
      "2 of 3 pods were ready after 60 s",
    ],
    [
      "gives up at once on what is broken",
      { phase: "preparing" },
      { candidate: { ...up, ready: 0, failure: "ImagePullBackOff" } },
      1,
      "aborting",
      0,
      "ImagePullBackOff",
    ],
    [
      "stops at a failing smoke test",
      { phase: "verifying" },
      { smokeTest: { ok: false, reason: "no database" } },
      1,
      "aborting",
      0,
      "no database",
    ],
    [
      "needs the watch",
      { phase: "verifying" },
      { watchdog: { ready: false, reason: "no token" } },
      59,
      "verifying",
      0,
      "asked for",
    ],
    [
      "does not wait for the watchdog for ever",
      { phase: "verifying" },
      { watchdog: { ready: false, reason: "no token" } },
      60,
      "aborting",
      0,
      "the watchdog that would take traffic back is not ready: no token",
    ],
    ["takes the first step", { phase: "verifying" }, {}, 1, "shifting", 0, "it is pass; 10 % of traffic"],
    [
      "switches at once",
      { phase: "verifying", strategy: "blue-green" },
      {},
      1,
      "promoting",
      0,
      "it is pass; all traffic",
    ],
    [
      "waits for pods that are missing for more traffic",
      { phase: "verifying" },
      { candidate: { ...up, ready: 2 } },
      63,
      "verifying",
      0,
      "asked for",
    ],
    [
      "does not wait for them for ever",
      { phase: "shifting", step: 1 },
      { candidate: { ...up, ready: 2 } },
      66,
      "aborting",
      1,
      "2 of 3 pods are ready, too few for more traffic",
    ],
    ["takes the next step", { phase: "shifting" }, {}, 1, "shifting", 1, "it is pass; 50 % of traffic"],
    [
      "promotes after the last step",
      { phase: "shifting", step: 1 },
      {},
      1,
      "promoting",
      0,
      "it is pass; all traffic",
    ],
    [
      "holds without data",
      { phase: "shifting" },
      { assessment: says("hold") },
      1,
      "shifting",
      0,
      "asked for",
    ],
    [
      "takes a bad canary back",
      { phase: "shifting" },
      { assessment: says("fail") },
      1,
      "aborting",
      0,
      "it is fail",
    ],
    [
      "takes a canary without pods back at once",
      { phase: "shifting" },
      { candidate: { wanted: 3, ready: 0, serving: 0, failure: "pod-1: killed" } },
      1,
      "aborting",
      0,
      "none of 3 pods is ready; pod-1: killed",
    ],
    [
      "lets a pod be replaced",
      { phase: "promoting" },
      { candidate: { wanted: 3, ready: 1, serving: 1 } },
      1,
      "settling",
      0,
      "it is pass",
    ],
    ["settles after the analysis", { phase: "promoting" }, {}, 1, "settling", 0, "it is pass"],
    [
      "takes a bad switch back",
      { phase: "promoting" },
      { assessment: says("fail") },
      1,
      "aborting",
      0,
      "it is fail",
    ],
    ["keeps the old revision", { phase: "settling" }, {}, 4, "settling", 0, "asked for"],
    ["is promoted after that", { phase: "settling" }, {}, 5, "promoted", 0, "asked for"],
    [
      "goes back while there is a way back",
      { phase: "settling" },
      { candidate: { wanted: 3, ready: 0, serving: 0 } },
      4,
      "aborting",
      0,
      "none of 3 pods is ready",
    ],
    ["lets the candidate drain", { phase: "aborting" }, {}, 2, "aborting", 0, "asked for"],
    ["is aborted after that", { phase: "aborting" }, {}, 3, "aborted", 0, "asked for"],
    ["is over once it is promoted", { phase: "promoted" }, {}, 99, "promoted", 0, "asked for"],
    ["is over once it is aborted", { phase: "aborted" }, {}, 99, "aborted", 0, "asked for"],
  ])("%s", (_, change, facts, seconds, phase, step, message) => {
    const now = next(change, facts, seconds)
    expect(now).toMatchObject({ phase, step, message })
    const moved = phase !== change.phase || step !== (change.step ?? 0)
    expect(now.since).toBe(moved ? after(seconds) : began)
  })

  it.each<[string, Partial<Rollout>, RolloutSnapshot["baseline"], number, Phase, string]>([
    ["is there", { phase: "preparing" }, up, 1, "verifying", "3 of 3 pods are ready"],
    ["is not there yet", { phase: "preparing" }, { ...up, ready: 2 }, 59, "preparing", "asked for"],
    [
      "is late",
      { phase: "preparing" },
      { ...up, ready: 2 },
      60,
      "aborting",
      /^2 of 3 pods of its baseline were ready after 60 s; .*: make room for them, or set .* baseline: stable$/,
    ],
    [
      "is broken",
      { phase: "preparing" },
      { ...up, ready: 0, failure: "OOM" },
      1,
      "aborting",
      /^its baseline: OOM; it takes as many pods again/,
    ],
    ["was not looked at", { phase: "preparing" }, undefined, 1, "preparing", "asked for"],
    ["lost a pod", { phase: "verifying" }, { ...up, ready: 2 }, 63, "verifying", "asked for"],
    [
      "lost it for long",
      { phase: "shifting" },
      { ...up, ready: 2 },
      66,
      "aborting",
      /^its baseline: 2 of 3 pods are ready, too few for more traffic; it takes/,
    ],
    ["lost all, and has no users", { phase: "verifying" }, none, 1, "verifying", "asked for"],
    [
      "lost all, and has users",
      { phase: "shifting" },
      none,
      1,
      "aborting",
      /^none of the 3 pods of its baseline is ready; it takes/,
    ],
    ["lost all, and has no users any more", { phase: "promoting" }, none, 1, "settling", "it is pass"],
  ] as [string, Partial<Rollout>, RolloutSnapshot["baseline"], number, Phase, string][])(
    "minds a baseline that %s",
    (_, change, baseline, seconds, phase, message) => {
      const now = next({ ...change, baseline: true }, baseline && { baseline }, seconds)
      expect(now.phase).toBe(phase)
      expect(now.message).toMatch(message)
    },
  )

  it("gives a first revision, and one that was proven, all traffic without steps", () => {
    expect(decide(firstOf(rollout({ phase: "verifying" })), well, settings(), after(1)).phase).toBe(
      "promoting",
    )
    const { candidate, watchdog, route, elapsed } = well
    const unmeasured = { candidate, watchdog, route, elapsed }
    expect(next({ phase: "verifying", kind: "rollback" }).phase).toBe("promoting")
    expect(
      decide(rollout({ phase: "promoting", kind: "rollback" }), unmeasured, settings(), after(1)).phase,
    ).toBe("settling")
  })

  it("does not wait for users of a first revision", () => {
    const { candidate, watchdog, route, elapsed } = well
    const first = firstOf(rollout({ phase: "promoting" }))
    expect(decide(first, { candidate, watchdog, route, elapsed }, settings(), after(1)).phase).toBe(
      "settling",
    )
    expect(analysisDuration(first, settings())).toBe(0)
    expect(analysisDuration(rollout({ phase: "promoting" }), settings())).toBeGreaterThan(0)
  })

  it("has a rollback wait for pods and for a smoke test", () => {
    const { candidate, watchdog, route, elapsed } = well
    const untested = { candidate, watchdog, route, elapsed }
    const back = rollout({ phase: "verifying", kind: "rollback" })
    expect(decide(back, untested, settings(), after(1))).toBe(back)
    expect(decide(back, { ...well, candidate: { ...up, ready: 2 } }, settings(), after(1))).toBe(back)
  })

  it("does not promote a canary whose steps were taken out of the configuration", () => {
    const now = next({ phase: "shifting", step: 1 }, {}, 1, settings({ steps: [{ weight: 10, for: 6 }] }))
    expect(now).toMatchObject({ phase: "aborting", message: expect.stringContaining("no step 2") as string })
    expect(trafficSplit(rollout({ phase: "shifting", step: 5 }), settings())).toEqual([
      { revision: 1, weight: 100 },
    ])
  })

  it("leaves a state as it is while there is nothing to decide", () => {
    const waiting = rollout({ phase: "shifting" })
    expect(decide(waiting, { ...well, assessment: says("wait") }, settings(), after(1))).toBe(waiting)
  })

  it.each(named)(
    "from %s goes only where the picture says, and never from unproven to proven without a pass",
    (_, state) => {
      const forward: Record<Phase, Phase[]> = {
        preparing: ["verifying"],
        verifying: ["shifting", "promoting"],
        shifting: ["shifting", "promoting"],
        promoting: ["settling"],
        settling: ["promoted"],
        promoted: [],
        aborting: ["aborted"],
        aborted: [],
      }
      const wrong = everyFacts.flatMap((facts) =>
        [0, 1, 10, 1000].flatMap((seconds) => {
          const now = decide(state, facts, settings(), after(seconds))
          const allowed = [state.phase, "aborting", ...forward[state.phase]].includes(now.phase)
          const same = now.id === state.id && now.revision === state.revision && now.stable === state.stable
          const onward = now !== state && now.phase !== "aborting"
          const unproven =
            onward && analysisDuration(state, settings()) > 0 && facts.assessment?.outcome !== "pass"
          // Nobody is sent to a baseline that was not seen with all of its pods.
          const { ready, wanted } = facts.baseline ?? { ready: 0, wanted: 1 }
          const short = onward && needsBaseline(state) && ready < wanted
          return allowed && same && !unproven && !short ? [] : [{ facts, seconds, now }]
        }),
      )
      expect(wrong).toEqual([])
    },
  )

  it("is the same whatever the clock shows", () => {
    const zones = [0, 5 * 3600_000, -11 * 3600_000, 1e12]
    const seen = zones.map((shift) =>
      phases.map((phase) => {
        const state = rollout({ phase, since: began + shift })
        const { since, ...now } = decide(state, well, settings(), after(5) + shift)
        return { ...now, since: since - shift }
      }),
    )
    for (const other of seen) expect(other).toEqual(seen[0])
  })
})

describe("backends", () => {
  it.each(named)("sum to 100 in %s, or to nothing where there is nothing proven", (_, state) => {
    const shares = trafficSplit(state, settings())
    const sum = shares.reduce((total, { weight }) => total + weight, 0)
    const unborn = state.stable === undefined && sum === 0
    expect(unborn || sum === 100).toBe(true)
    expect(shares.every(({ weight }) => weight > 0)).toBe(true)
  })

  it("shares as the step says", () => {
    expect(trafficSplit(rollout({ phase: "shifting", step: 1 }), settings())).toEqual([
      { revision: 1, weight: 50 },
      { revision: 2, weight: 50 },
    ])
    expect(trafficSplit(rollout({ phase: "shifting", strategy: "blue-green" }), settings())).toEqual([
      { revision: 1, weight: 100 },
    ])
  })

  it.each([
    [10, { stable: 80, baseline: 10, candidate: 10 }],
    [50, { baseline: 50, candidate: 50 }],
    [60, { baseline: 40, candidate: 60 }],
    [99, { baseline: 1, candidate: 99 }],
  ])("gives a baseline at %s % as much as the candidate, as far as there is as much", (weight, shares) => {
    const all = trafficSplit(
      rollout({ phase: "shifting", baseline: true }),
      settings({ steps: [{ weight, for: 6 }] }),
    )
    const name = ({ revision, baseline }: (typeof all)[number]) =>
      revision === 1 ? "stable" : baseline ? "baseline" : "candidate"
    expect(Object.fromEntries(all.map((backend) => [name(backend), backend.weight]))).toEqual(shares)
  })

  it.each(named.filter(([, { phase }]) => phase !== "shifting"))("have no baseline in %s", (_, state) => {
    expect(trafficSplit(state, settings()).filter(({ baseline }) => baseline)).toEqual([])
  })
})

describe("isJudgedAfresh", () => {
  const comparison = { metric: "p95", confidence: 98, points: 50, baseline: "fresh" } as const

  it("is where traffic is shared, and a comparison asks for it", () => {
    expect(usesFreshBaseline(rollout(), { ...analysis, comparison })).toBe(true)
  })

  it.each([
    ["a comparison", rollout(), undefined],
    ["a comparison that wants it", rollout(), { ...comparison, baseline: "stable" } as const],
    ["steps", rollout({ strategy: "blue-green" }), comparison],
    ["anything to prove", rollout({ kind: "rollback" }), comparison],
    ["a stable revision", firstOf(rollout()), comparison],
  ])("is not without %s", (_, state, asked) => {
    expect(usesFreshBaseline(state, { ...analysis, ...(asked && { comparison: asked }) })).toBe(false)
  })
})

describe("abort", () => {
  it.each(named)("leads from %s to all traffic on the stable revision", (_, state) => {
    const back = abort(state, "an operator asked", after(9))
    if (isOver(state) || state.phase === "aborting") {
      expect(back).toBe(state)
      return
    }
    expect(back).toMatchObject({ phase: "aborting", since: after(9), message: "an operator asked" })
    const home = state.stable === undefined ? [] : [{ revision: state.stable, weight: 100 }]
    expect(trafficSplit(back, settings())).toEqual(home)
    const over = decide(back, well, settings(), after(9 + 3))
    expect(over.phase).toBe("aborted")
    expect(trafficSplit(over, settings())).toEqual(home)
  })
})

describe("takeOver", () => {
  it.each(named)("leaves traffic of %s as it is, and begins its analysis again", (_, state) => {
    const taken = takeOver(state, "grace (2)", after(3600))
    expect(trafficSplit(taken, settings())).toEqual(trafficSplit(state, settings()))
    expect(taken).toEqual({ ...state, controller: "grace (2)", since: taken.since })
    const measured = state.phase === "preparing" || state.phase === "verifying" || isExposed(state)
    expect(taken.since).toBe(measured ? after(3600) : began)
  })

  it("does not let pods be late that nobody waited for", () => {
    const taken = takeOver(rollout({ phase: "preparing" }), "grace (2)", after(3600))
    const facts = { ...well, candidate: { ...up, ready: 1 } }
    expect(decide(taken, facts, settings(), after(3601))).toBe(taken)
  })
})
