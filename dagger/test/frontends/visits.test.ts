// What browsers tell of releases: counted over processes that come and go, and compared.
import { describe, expect, it } from "vitest"
import {
  CanaryVisits,
  judgeVisits,
  type Shown,
  VisitCounter,
  type Visits,
  visitsSection,
} from "../../src/frontends/visits.js"
import { WebPlatform } from "./platform.js"

const shown = (letter: string): Shown => ({ release: letter.repeat(40), config: "f".repeat(40) })

interface Told {
  views?: number
  failed?: number
  /** Pages that were left: how many, and how many of them were slow. */
  left?: number
  slow?: number
}

/** The lines of a page of metrics that a backend has for one release. */
function linesOf(
  { release, config }: Shown,
  { views = 0, failed = 0, left = views, slow = 0 }: Told,
): string {
  const labels = `release="${release}",config="${config}"`
  return [
    `web_views_total{${labels}} ${views}.0`,
    `web_failed_views_total{${labels}} ${failed}.0`,
    `web_vitals_total{${labels},name="LCP",rating="good"} ${left - slow}.0`,
    `web_vitals_total{${labels},name="LCP",rating="poor"} ${slow}.0`,
  ].join("\n")
}

const visits = ({ views = 0, failed = 0, left = views, slow = 0 }: Told): Visits => ({
  views,
  failed,
  vitals: {
    LCP: { told: left, notGood: slow },
    INP: { told: 0, notGood: 0 },
    CLS: { told: left, notGood: 0 },
  },
})

const settings = visitsSection.parse({})

describe("settings", () => {
  it("have defaults", () => {
    expect(settings).toEqual({ views: 100, wait: 1_800, confidence: 99 })
  })

  it.each([
    [{ views: 5 }, /at least 20/],
    [{ confidence: 100 }, /confidence/],
    [{ wait: "soon" }, /wait/],
    [{ view: 100 }, /view/],
  ])("%j are refused", (given, reason) => {
    expect(JSON.stringify(visitsSection.safeParse(given).error?.issues)).toMatch(reason)
  })

  it("are refused without a canary", () => {
    expect(() => new WebPlatform("visits: { views: 100 }").web()).toThrow(/visits.*only with canary/s)
  })
})

describe("what processes count", () => {
  it("is what they counted since the first look, added up", () => {
    const counter = new VisitCounter()
    const [a, b] = [shown("a"), shown("b")]
    counter.look([
      {
        instance: "1",
        text: `${linesOf(a, { views: 100, failed: 4, slow: 2 })}\n${linesOf(b, { views: 7 })}`,
      },
      { instance: "2", text: linesOf(a, { views: 50 }) },
    ])
    counter.look([
      {
        instance: "1",
        text: `${linesOf(a, { views: 130, failed: 5, slow: 8 })}\n${linesOf(b, { views: 9 })}`,
      },
      { instance: "2", text: linesOf(a, { views: 60 }) },
    ])
    expect(counter.visits(a)).toMatchObject({
      views: 40,
      failed: 1,
      vitals: { LCP: { told: 40, notGood: 6 }, INP: { told: 0, notGood: 0 } },
    })
    expect(counter.visits(b)).toMatchObject({ views: 2, failed: 0 })
    expect(counter.visits(shown("c"))).toMatchObject({ views: 0, vitals: { LCP: { told: 0 } } })
  })

  it("tells configurations of one release apart, but for pages that could not load theirs", () => {
    const counter = new VisitCounter()
    const [one, other] = [shown("a"), { ...shown("a"), config: "e".repeat(40) }]
    counter.look([{ instance: "1", text: "" }])
    const none = linesOf({ ...one, config: "" }, { views: 3, failed: 3 })
    counter.look([
      { instance: "1", text: [linesOf(one, { views: 10 }), linesOf(other, { views: 20 }), none].join("\n") },
    ])
    expect(counter.visits(one)).toMatchObject({ views: 13, failed: 3 })
    expect(counter.visits(other)).toMatchObject({ views: 23, failed: 3 })
  })

  it.each<[string, { instance: string; text?: string }[][], number]>([
    ["a process that began since", [[], [{ instance: "2", text: linesOf(shown("a"), { views: 5 }) }]], 5],
    [
      "a process that is gone",
      [[{ instance: "1", text: linesOf(shown("a"), { views: 3 }) }], [{ instance: "2", text: "" }]],
      3,
    ],
    [
      "one that did not answer for a while",
      [[{ instance: "1" }], [{ instance: "1", text: linesOf(shown("a"), { views: 8 }) }]],
      8,
    ],
    [
      "one that forgot the release, and counts it anew",
      [[{ instance: "1", text: linesOf(shown("a"), { views: 2 }) }]],
      2,
    ],
  ])("%s counts", (_, looks, views) => {
    const counter = new VisitCounter()
    const before = looks.length === 1 ? linesOf(shown("a"), { views: 90 }) : ""
    counter.look([{ instance: "1", text: before }])
    for (const look of looks) counter.look(look)
    expect(counter.visits(shown("a")).views).toBe(views)
  })

  it("of a process that answers late is not what it counted long before", () => {
    const counter = new VisitCounter()
    counter.look([{ instance: "1" }])
    counter.look([{ instance: "1", text: linesOf(shown("a"), { views: 900 }) }])
    counter.look([{ instance: "1", text: linesOf(shown("a"), { views: 905 }) }])
    expect(counter.visits(shown("a")).views).toBe(5)
  })

  it("is not read from what is no page of metrics", () => {
    const look = (text: string) => () => {
      new VisitCounter().look([{ instance: "1", text }])
    }
    expect(look("<html>")).toThrow(/line 1: no sample/)
    expect(look('web_views_total{release="a"} 1')).toThrow(/line 1: no label config/)
    expect(look(linesOf(shown("a"), {}).replace("0.0", "-1"))).toThrow(
      /a counter is a finite number from 0 up/,
    )
  })
})

describe("a canary's visits", () => {
  it.each<[string, Told, Told]>([
    ["fail more often", { views: 400, failed: 20 }, { views: 4_000, failed: 20 }],
    ["are slower", { views: 400, slow: 160 }, { views: 4_000, slow: 800 }],
    ["all fail", { views: 100, failed: 100 }, { views: 100 }],
    ["fail and tell nothing of how fast they were", { views: 200, failed: 200, left: 0 }, { views: 2_000 }],
  ])("that %s end it", (_, canary, live) => {
    expect(judgeVisits(visits(canary), visits(live), settings, true)).toMatchObject({ outcome: "fail" })
  })

  it.each<[string, Told, Told]>([
    ["are as good", { views: 400, failed: 2, slow: 80 }, { views: 4_000, failed: 20, slow: 800 }],
    ["are better", { views: 400 }, { views: 4_000, failed: 200, slow: 800 }],
    ["differ by what may be chance", { views: 400, failed: 4 }, { views: 4_000, failed: 20 }],
    ["tell of more failures than views", { views: 100, failed: 120 }, { views: 100, failed: 300 }],
  ])("that %s let it go on", (_, canary, live) => {
    expect(judgeVisits(visits(canary), visits(live), settings, true)).toMatchObject({ outcome: "pass" })
  })

  it.each<[string, Told, Told]>([
    ["are none", {}, {}],
    ["are few", { views: 99 }, { views: 4_000 }],
    ["have nothing to be compared with", { views: 4_000 }, { views: 99 }],
    ["do not tell how fast they were", { views: 4_000, left: 5 }, { views: 4_000 }],
    // It may be asked again and again while there are too few.
    ["are few and worse, but not beyond any doubt", { views: 60, failed: 10 }, { views: 4_000, failed: 80 }],
  ])("that %s hold it", (_, canary, live) => {
    expect(judgeVisits(visits(canary), visits(live), settings, true)).toMatchObject({ outcome: "hold" })
  })

  it("end it early only when there is no doubt at all", () => {
    const [some, live] = [visits({ views: 400, failed: 18 }), visits({ views: 4_000, failed: 40 })]
    expect(judgeVisits(some, live, settings, false).outcome).toBe("pass")
    expect(judgeVisits(some, live, settings, true).outcome).toBe("fail")
    const [all, few] = [visits({ views: 12, failed: 12 }), visits({ views: 200, failed: 1 })]
    expect(judgeVisits(all, few, settings, false).outcome).toBe("fail")
  })

  it("that are worse are told with their figures", () => {
    const { reason } = judgeVisits(
      visits({ views: 400, failed: 20, slow: 200 }),
      visits({ views: 4_000, failed: 20, slow: 800 }),
      settings,
      true,
    )
    expect(reason).toMatch(
      /^pages with a failure: 20 of 400 \(5 %\), and 20 of 4000 \(0.5 %\) of the live release \(p \S+\); pages whose LCP is not good: 200 of 400/,
    )
  })

  it("that cannot be read hold it", async () => {
    const canary = new CanaryVisits(
      () => Promise.reject(new Error("no pod of api shows its metrics: none runs")),
      { canary: shown("b"), live: shown("a") },
      settings,
    )
    await canary.begin()
    expect(await canary.judge(true)).toEqual({
      outcome: "hold",
      reason: "what browsers told cannot be read: no pod of api shows its metrics: none runs",
    })
  })
})

describe("a deploy with a canary", () => {
  const steps = "canary: [{ percent: 10, for: 60s }]\nvisits: { views: 100, wait: 5m }"

  /** A platform with a pod that is told of so many visits of each variant between two looks; the others do not answer. */
  async function told(rates: { live: Told; canary: Told }, more = steps) {
    const platform = new WebPlatform(more)
    await platform.deployWeb("a")
    let looks = 0
    let answering: string | undefined
    const at = ({ views = 0, failed = 0, slow = 0 }: Told): Told => ({
      views: views * looks,
      failed: failed * looks,
      slow: slow * looks,
    })
    platform.metrics = (pod) => {
      answering ??= pod
      if (pod !== answering) return { status: 500, text: "" }
      const { live, canary } = platform.pointers.pointer ?? {}
      looks++
      const lines = [
        ...(live ? [linesOf(live, at(rates.live))] : []),
        ...(canary ? [linesOf(canary, at(rates.canary))] : []),
      ]
      return { status: 200, text: lines.join("\n") }
    }
    return platform
  }

  const looksAt = (platform: WebPlatform) => {
    const asked = platform.asked.filter((one) => one.endsWith("/metrics"))
    return asked.filter((one) => one === asked[0]).length
  }

  it("waits for what browsers tell, and goes on when it is as good", async () => {
    const platform = await told({ live: { views: 100, slow: 10 }, canary: { views: 10, slow: 1 } })
    expect(await platform.deployWeb("b")).toMatch(/^web +promoted +2 /m)
    // The first look of the step is what the others are compared with.
    expect(looksAt(platform)).toBe(11)
    expect(platform.said.join("\n")).toMatch(/web: waits: browsers told of \d\d views of the canary/)
    expect(platform.said.join("\n")).toMatch(/none of what they told is worse/)
  })

  it("takes it back as soon as its pages fail", async () => {
    const platform = await told({ live: { views: 100 }, canary: { views: 20, failed: 20 } })
    await expect(platform.deployWeb("b")).rejects.toThrow(
      /the canary is worse: pages with a failure: 20 of 20 \(100 %\), and 0 of 100 \(0 %\) of the live release .*; revision 1 is live/,
    )
    expect(looksAt(platform)).toBe(2)
    expect(platform.pointers.pointer).toMatchObject({ live: { revision: 1 } })
    expect(platform.pointers.pointer).not.toHaveProperty("canary")
  })

  it.each([
    [
      "browsers tell too little",
      { live: { views: 10 }, canary: {} },
      /0 views of the canary .*; each has to be 100/,
    ],
    ["nothing can be read", undefined, /what browsers told cannot be read: .* \/metrics answered 500/],
  ])("takes it back when %s", async (_, rates, reason) => {
    const platform = await told(rates ?? { live: {}, canary: {} })
    if (rates === undefined) platform.metrics = () => ({ status: 500, text: "" })
    const began = platform.clock.now()
    const failed = await platform.deployWeb("b").then(
      () => undefined,
      (error: unknown) => error as Error,
    )
    expect(failed?.message).toMatch(/too little is known of the canary 5 min 00 s after its time/)
    expect(failed?.message).toMatch(reason)
    expect(platform.clock.now() - began).toBeGreaterThanOrEqual(360_000)
    expect(platform.pointers.pointer).not.toHaveProperty("canary")
  })

  it("does not wait for browsers where the settings do not ask for it", async () => {
    const platform = await told({ live: {}, canary: {} }, "canary: [{ percent: 10, for: 60s }]")
    expect(await platform.deployWeb("b")).toMatch(/^web +promoted +2 /m)
    expect(looksAt(platform)).toBe(0)
  })
})
