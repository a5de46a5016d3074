import { describe, expect, it } from "vitest"
import {
  backwards,
  continues,
  decidePromotion,
  decideRollback,
  forwards,
  judgePods,
  judgeShadow,
} from "../../src/models/decisions.js"
import { ended, type RunningPromotion, withRunning } from "../../src/models/promotion-state.js"
import type { Examination } from "../../src/models/result.js"
import type { PodReport, ServedModels } from "../../src/models/serving.js"

const [one, two, three] = ["1", "2", "3"].map((digit) => digit.repeat(64)) as [string, string, string]

const examined = (change: Partial<Examination> = {}): Examination => ({
  event: "result",
  outcome: "examined",
  message: "",
  champion: one,
  challenger: two,
  previous: three,
  digest: two,
  version: "v2",
  verdict: "better",
  reason: "clearly better",
  problem: undefined,
  ...change,
})

const served = (digest: string, change: Partial<ServedModels> = {}): ServedModels => ({
  follows_registry: true,
  champion: { digest, version: "v", predictions: 3, failures: 0, last_failure: null },
  refused: null,
  shadow: null,
  ...change,
})

const pod = (change: Partial<PodReport> = {}): PodReport => ({
  name: "pod-1",
  uid: "uid-1",
  address: "pod-1:8000",
  ready: true,
  restarts: 0,
  answered: 200,
  served: served(one),
  ...change,
})

const silent = (silence: string): PodReport => {
  const { name, uid, address, ready, restarts } = pod()
  return { name, uid, address, ready, restarts, silence }
}

const running = (change: Partial<RunningPromotion> = {}): RunningPromotion => ({
  id: "20261126-101500-x7k2",
  action: "deploy",
  image: "registry/f1@sha256:ab",
  from: one,
  to: two,
  previous: three,
  version: "v2",
  by: "dora",
  author: "dora",
  reason: "why",
  began: "2026-11-26T10:15:00Z",
  phase: "moving",
  failed: 0,
  ...change,
})

describe("decidePromotion", () => {
  const decide = (change: Partial<Examination> = {}, more: object = {}) =>
    decidePromotion({ wanted: undefined, examined: examined(change), pods: [pod()], shadow: true, ...more })

  it("puts the challenger in the place of the champion, after it has predicted beside it", () => {
    expect(decide()).toEqual({
      kind: "begin",
      change: { from: one, to: two, version: "v2", previous: three },
      verdict: "better",
      because: "clearly better",
      shadow: true,
    })
  })

  it("has no shadow where none is asked for, nothing serves, or no pod follows the registry", () => {
    const away = [pod({ served: served(one, { follows_registry: false, champion: null }) })]
    expect(decide({}, { shadow: false })).toMatchObject({ kind: "begin", shadow: false })
    expect(decide({ champion: undefined, previous: undefined })).toMatchObject({
      change: { to: two, version: "v2" },
      shadow: false,
    })
    expect(decide({}, { pods: away })).toMatchObject({ kind: "begin", shadow: false })
  })

  it.each<[string, Partial<Examination>, string]>([
    [
      "no challenger",
      { digest: undefined, challenger: undefined },
      `no challenger; ${one.slice(0, 12)} stays`,
    ],
    ["nothing at all", { digest: undefined, champion: undefined }, "no model serves"],
    ["the champion itself", { digest: one }, "serves"],
  ])("does nothing for %s", (_, change, reason) => {
    const action = decide(change)
    expect(action).toMatchObject({ kind: "nothing" })
    expect(JSON.stringify(action)).toContain(reason)
  })

  it.each<[string, Partial<Examination>, string | undefined, string]>([
    ["cannot be served", { problem: "it is truncated" }, two, "cannot be served: it is truncated"],
    ["the gate refused", { verdict: "refused", reason: "it is worse" }, two, "(refused): it is worse"],
    ["nobody judged", { verdict: undefined }, two, "(not known)"],
    ["is unproven and a challenger", { verdict: "unproven" }, undefined, "(unproven)"],
  ])("is blocked for a model that %s", (_, change, wanted, reason) => {
    const action = decide(change, { wanted })
    expect(action).toMatchObject({ kind: "blocked" })
    expect(JSON.stringify(action)).toContain(reason)
  })

  it("takes an unproven model that was named by its digest", () => {
    expect(decide({ verdict: "unproven" }, { wanted: two })).toMatchObject({
      kind: "begin",
      verdict: "unproven",
    })
  })

  it("is blocked while a pod that has requests does not say what it serves", () => {
    const pods = [pod(), silent("answers 404 to /api/f1/model/served")]
    expect(decide({}, { pods })).toMatchObject({ kind: "blocked" })
    expect(decide({}, { pods: pods.map((each) => ({ ...each, ready: false })) })).toMatchObject({
      kind: "begin",
    })
  })
})

describe("decideRollback", () => {
  it("goes to the champion before, or to the one that is named", () => {
    expect(decideRollback(examined({ digest: three, verdict: "refused" }), undefined)).toEqual({
      from: one,
      to: three,
      version: "v2",
      previous: three,
    })
    expect(decideRollback(examined({ digest: one }), one)).toBeUndefined()
  })

  it("refuses where there is none, and one that cannot be served", () => {
    expect(() => decideRollback(examined({ digest: undefined }), undefined)).toThrow(
      "name a model by its digest",
    )
    expect(() => decideRollback(examined({ problem: "it is gone" }), undefined)).toThrow(
      "it is gone: name another one with --to",
    )
    expect(() => decideRollback(examined({ problem: "it is gone" }), two)).toThrow(/it is gone$/)
  })
})

describe("the pointer", () => {
  it("goes forwards and back to exactly what it was", () => {
    expect(forwards(running())).toEqual({ kind: "point", model: two, champion: one, previous: one })
    expect(backwards(running())).toEqual({ kind: "point", model: one, champion: two, previous: three })
  })

  it("does not name what was rolled back from as the next to go back to", () => {
    expect(forwards(running({ action: "rollback" }))).toMatchObject({ previous: undefined })
  })

  it("goes on with the same model alone", () => {
    expect(continues(running(), undefined)).toBe(true)
    expect(continues(running(), two)).toBe(true)
    expect(continues(running(), three)).toBe(false)
    expect(continues(running({ action: "rollback" }), undefined)).toBe(false)
  })
})

describe("judgePods", () => {
  const judge = (reports: PodReport[], restarts = 0) =>
    judgePods(reports, two, new Map([["uid-1", restarts]]))
  const serving = (change: Partial<NonNullable<ServedModels["champion"]>> = {}) =>
    served(two, {
      champion: { digest: two, version: "v", predictions: 1, failures: 0, last_failure: null, ...change },
    })

  it("waits until every pod serves it and is ready", () => {
    expect(judge([pod({ served: serving() })])).toEqual({ waiting: [], unfollowed: false })
    const others = [
      pod({ name: "pod-2" }),
      pod({ name: "pod-3", served: serving(), ready: false }),
      silent("does not answer"),
      pod({ name: "pod-5", served: served(one, { champion: null }) }),
    ]
    expect(judge([pod({ served: serving() }), ...others]).waiting).toEqual([
      `pod-2 serves ${one.slice(0, 12)}`,
      "pod-3 is not ready",
      "pod-1 does not answer",
      "pod-5 serves none",
    ])
    // No data is no success.
    expect(judge([]).waiting).toEqual(["no pod runs"])
  })

  it.each<[string, PodReport, string]>([
    [
      "that cannot load it",
      pod({ served: served(one, { refused: { digest: two, reason: "golden" } }) }),
      "pod-1 cannot load it: golden",
    ],
    [
      "whose predictions fail",
      pod({ served: serving({ failures: 2, last_failure: "NotFinite" }) }),
      "pod-1: 2 of 3 predictions failed, the last with NotFinite",
    ],
    ["that answers with an error", pod({ served: serving(), answered: 500 }), "pod-1 answers 500"],
    ["that was restarted", pod({ restarts: 1 }), "pod-1 was restarted"],
  ])("takes it back for a pod %s", (_, report, reason) => {
    expect(judge([pod({ name: "well", uid: "uid-2", served: serving() }), report]).broken).toContain(reason)
  })

  it("does not blame it for what another model did, an old restart, or a database that is away", () => {
    const fine = [
      pod({ served: served(one, { refused: { digest: three, reason: "golden" } }) }),
      pod({
        served: served(one, {
          champion: { digest: one, version: "v", predictions: 0, failures: 5, last_failure: "X" },
        }),
      }),
      pod({ answered: 500 }),
      pod({ served: serving(), answered: 503 }),
      pod({ served: serving(), answered: 404 }),
      pod({ served: serving(), restarts: 3 }),
    ]
    for (const report of fine) expect(judge([report], 3).broken).toBeUndefined()
  })

  it("waits for nobody where no pod follows the registry", () => {
    const away = pod({ served: served(one, { follows_registry: false }) })
    expect(judge([away, away])).toMatchObject({ unfollowed: true })
    expect(judge([away, pod()])).toMatchObject({ unfollowed: false })
    expect(judge([away, silent("x")])).toMatchObject({ unfollowed: false })
  })
})

describe("judgeShadow", () => {
  const beside = (change: object = {}) =>
    pod({
      served: served(one, {
        shadow: {
          digest: two,
          problem: null,
          model: { digest: two, version: "v", predictions: 1, failures: 0, last_failure: null },
          requests: 1,
          other_favourite: 0,
          largest_difference: 0.02,
          mean_difference: 0.01,
          ...change,
        },
      }),
    })

  it("says how far predictions differ once every ready pod has compared one", () => {
    const judged = judgeShadow(
      [
        beside(),
        beside({ requests: 3, other_favourite: 1, largest_difference: 0.2, mean_difference: 0.05 }),
        { ...silent("x"), ready: false },
      ],
      two,
    )
    expect(judged).toEqual({
      waiting: [],
      compared:
        "the answers to 4 requests on 2 pods were compared: chances of winning differ by 4.0 points of a hundred on average and 20.0 points at most, and the favourite is another one in 1",
    })
  })

  it("waits for pods that have not", () => {
    const reports = [
      pod(),
      beside({ requests: 0 }),
      silent("does not answer"),
      { ...beside({ requests: 0 }), answered: 503 },
    ]
    expect(judgeShadow(reports, two).waiting).toEqual([
      "pod-1 has not loaded it yet",
      "pod-1 has compared nothing yet",
      "pod-1 does not answer",
      "pod-1 has compared nothing yet, and answers 503",
    ])
    expect(judgeShadow([{ ...beside(), ready: false }], two).waiting).toEqual(["no pod is ready"])
  })

  it.each<[string, PodReport, string]>([
    [
      "cannot be loaded",
      beside({ problem: "signature", model: null }),
      "cannot load it beside the champion: signature",
    ],
    [
      "fails, or gives no number",
      beside({
        model: { digest: two, version: "v", predictions: 4, failures: 1, last_failure: "NotFinite" },
      }),
      "pod-1: 1 shadow prediction failed, the last with NotFinite",
    ],
    ["has nothing to predict", { ...beside({ requests: 0 }), answered: 404 }, "no race is to come"],
  ])("refuses one that %s", (_, report, reason) => {
    expect(judgeShadow([beside(), report], two).refused).toContain(reason)
  })
})

it("the state keeps ten promotions, and what is in progress until it has an end", () => {
  let state = withRunning({ schemaVersion: 1, runs: [] }, running())
  expect(ended(state)).toBe(state)
  for (let at = 0; at < 12; at++) {
    const end = { result: "promoted" as const, at: "2026-11-26T10:16:00Z", message: `run ${at}` }
    state = withRunning(ended(withRunning(state, running({ end }))), running())
  }
  expect(state.runs).toHaveLength(10)
  expect(state.runs[0]).toMatchObject({ action: "deploy", from: one, to: two, message: "run 11" })
})
