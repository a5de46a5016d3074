import { z } from "zod"
import { section } from "../lib/document.js"
import { configuredDuration } from "../lib/duration.js"
import { countOf, readSamples } from "../lib/exposition.js"
import { compareRates } from "../lib/statistics.js"
import { oneLine, rateText } from "../lib/text.js"

/** What browsers are to have told of a canary before its next step; see `dagger/config/deploy.yaml`. */
export const visitsSection = section({
  /** Of the canary, and of what is live. */
  views: z.int().min(20, "at least 20: fewer say too little").max(1_000_000).default(100),
  /** For how long a step waits for them beyond its time. */
  wait: configuredDuration.prefault("30m"),
  confidence: z.number().min(90).lt(100).default(99),
})

export type VisitsSettings = z.output<typeof visitsSection>

const vitals = ["LCP", "INP", "CLS"] as const
type Vital = (typeof vitals)[number]

/** What browsers told of pages of one release with one configuration. */
export interface Visits {
  views: number
  /** Pages in which something failed. */
  failed: number
  /** Pages that were left, by vital: how many, and how many of them were not good. */
  vitals: Record<Vital, { told: number; notGood: number }>
}

/** What browsers tell a backend about: a release with its configuration. */
export interface Shown {
  release: string
  config: string
}

/** The metrics of one process. */
export interface MetricsPage {
  /** Changes when the process restarts. */
  instance: string
  /** Absent: it did not answer. */
  text?: string
}

type Counts = Map<string, number>

/** Names of the backend's metrics: `services/servicekit/src/servicekit/metrics.py`. */
const metrics = { views: "web_views_total", failed: "web_failed_views_total", vitals: "web_vitals_total" }

const keyOf = ({ release, config }: Shown, what: string): string => `${release}/${config}/${what}`

/** @throws Error when the text is no page of metrics */
function countsIn(text: string): Counts {
  const counts: Counts = new Map()
  readSamples(text, ({ name, label, value }) => {
    if (!Object.values(metrics).includes(name)) return
    const of = { release: label("release"), config: label("config") }
    const what =
      name === metrics.vitals
        ? `${label("name")} ${label("rating") === "good" ? "good" : "not good"}`
        : name === metrics.views
          ? "views"
          : "failed"
    const key = keyOf(of, what)
    counts.set(key, (counts.get(key) ?? 0) + countOf(value))
  })
  return counts
}

/** Adds up what the processes of a backend have counted since the first look, whichever of them restart or go. */
export class VisitCounter {
  /** By instance; of one that has not answered yet, nothing is known. */
  private readonly processes = new Map<string, { first: Counts; last: Counts } | undefined>()
  private begun = false

  /**
   * Takes what the processes show now. The first call sets the starting point.
   *
   * @throws Error when a page is none
   */
  look(pages: MetricsPage[]): void {
    for (const { instance, text } of pages) {
      const known = this.processes.get(instance)
      if (text === undefined) {
        this.processes.set(instance, known)
        continue
      }
      const last = countsIn(text)
      // A process that is new has counted since it began.
      const isNew = this.begun && !this.processes.has(instance)
      this.processes.set(instance, {
        first: known?.first ?? (isNew ? new Map<string, number>() : last),
        last,
      })
    }
    this.begun = true
  }

  visits(shown: Shown): Visits {
    const growth = (key: string) =>
      [...this.processes.values()].reduce((all, process) => {
        const [before = 0, now = 0] = [process?.first.get(key), process?.last.get(key)]
        // The backend forgets releases when there are many, and then begins at zero.
        return all + (now < before ? now : now - before)
      }, 0)
    // A page that could not load its configuration does not know which one that was.
    const sum = (what: string) => growth(keyOf(shown, what)) + growth(keyOf({ ...shown, config: "" }, what))
    return {
      views: sum("views"),
      failed: sum("failed"),
      vitals: Object.fromEntries(
        vitals.map((name) => {
          const notGood = sum(`${name} not good`)
          return [name, { told: notGood + sum(`${name} good`), notGood }]
        }),
      ) as Visits["vitals"],
    }
  }
}

/** What the visits of a canary come to so far: it may go on, it has too few of them, or it is worse. */
export interface VisitsVerdict {
  outcome: "pass" | "hold" | "fail"
  reason: string
}

/** Percent: what is looked at many times counts only beyond any doubt. At the confidence of the settings, a step is looked at once. */
const certain = 99.99

/**
 * Compares what browsers told of a canary with what they told of the live release in the same time.
 *
 * Four rates are compared by Fisher's exact test: pages in which something failed, and for each vital pages that were not good (https://web.dev/articles/vitals). Each is
 * tested at a quarter of what the confidence leaves, so that all of them together keep it (Bonferroni).
 *
 * @param ended whether the step's time is over
 */
export function judgeVisits(
  canary: Visits,
  live: Visits,
  { views, confidence }: Pick<VisitsSettings, "views" | "confidence">,
  ended: boolean,
): VisitsVerdict {
  const rates = (visits: Visits) => [
    { name: "pages with a failure", errors: Math.min(visits.failed, visits.views), requests: visits.views },
    ...vitals.map((name) => ({
      name: `pages whose ${name} is not good`,
      errors: visits.vitals[name].notGood,
      requests: visits.vitals[name].told,
    })),
  ]
  const [own, theirs] = [rates(canary), rates(live)]
  const least = Math.min(canary.views, live.views, canary.vitals.LCP.told, live.vitals.LCP.told)
  const isEnough = least >= views
  const each = 100 - (100 - (ended && isEnough ? confidence : certain)) / own.length
  const compared = own.map((rate, at) => {
    const other = theirs[at] ?? { errors: 0, requests: 0 }
    return { rate, other, ...compareRates(rate, other, each) }
  })
  const worse = compared.filter(({ verdict }) => verdict === "worse")
  if (worse.length > 0) {
    const texts = worse.map(
      ({ rate, other, p }) =>
        `${rate.name}: ${rate.errors} of ${rate.requests} (${percent(rate)}), and ${other.errors} of ${other.requests} (${percent(other)}) of the live release (p ${p.toPrecision(2)})`,
    )
    return { outcome: "fail", reason: texts.join("; ") }
  }
  const seen = `browsers told of ${canary.views} views of the canary and ${live.views} of the live release`
  if (!isEnough) {
    const left = `${canary.vitals.LCP.told} and ${live.vitals.LCP.told} of them with how fast they were`
    return { outcome: "hold", reason: `${seen}, ${left}; each has to be ${views}` }
  }
  return { outcome: "pass", reason: `${seen}; none of what they told is worse` }
}

const percent = ({ errors, requests }: { errors: number; requests: number }) =>
  requests === 0 ? "none" : rateText((100 * errors) / requests)

/** What browsers tell of a canary and of the live release, step by step. */
export class CanaryVisits {
  private counter = new VisitCounter()

  constructor(
    /** Reads the metrics of each process that browsers tell; throws when none answers. */
    private readonly pages: () => Promise<MetricsPage[]>,
    private readonly shown: { canary: Shown; live: Shown },
    private readonly settings: VisitsSettings,
  ) {}

  /** Begins a step: what was told before does not count. */
  async begin(): Promise<void> {
    this.counter = new VisitCounter()
    await this.judge(false)
  }

  /** @param ended whether the step's time is over */
  async judge(ended: boolean): Promise<VisitsVerdict> {
    try {
      this.counter.look(await this.pages())
    } catch (error) {
      const reason = `what browsers told cannot be read: ${oneLine((error as Error).message, 200)}`
      return { outcome: "hold", reason }
    }
    const { canary, live } = this.shown
    return judgeVisits(this.counter.visits(canary), this.counter.visits(live), this.settings, ended)
  }
}
