import { onCLS, onINP, onLCP, type Metric } from "web-vitals"

/** What is told of a page that is shown. */
export interface Visit {
  /** Something failed in it. */
  failed: () => void
}

/** The release that the page is of, as the edge says; nothing in development, or behind a web server alone. */
export function releaseShown(): string | undefined {
  const [page] = performance.getEntriesByType("navigation") as (PerformanceNavigationTiming | undefined)[]
  return page?.serverTiming.find(({ name }) => name === "release")?.description
}

/** What a page is made of. */
export interface Shown {
  /** Default: that which the edge names. Without one, nothing is told. */
  release?: string | undefined
  /** The id of its configuration; nothing where that could not be loaded. */
  config?: string | undefined
}

/**
 * Tells the backend that a page is shown, the first failure in it, and how fast it was when it is left first. It has no names of
 * people, addresses or texts. Nobody waits for it, and a page works without.
 *
 * @param url takes it, such as `/api/visits`
 */
export function beginVisit(url: string, { release = releaseShown(), config }: Shown = {}): Visit {
  if (release === undefined) return { failed: () => undefined }
  const tell = (visit: { event: string; vitals?: Record<string, string> }) => {
    fetch(url, {
      method: "POST",
      // It goes out although the page is left.
      keepalive: true,
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ release, config, ...visit }),
    })
      // Until its answer is read, browsers take the request for one that goes on.
      .then((answer) => answer.arrayBuffer())
      .catch((error: unknown) => {
        console.warn(`${url} could not be told of this visit:`, error)
      })
  }
  let hasFailed = false
  const failed = () => {
    if (hasFailed) return
    hasFailed = true
    tell({ event: "failure" })
  }
  const vitals: Record<string, string> = {}
  const note = ({ name, rating }: Metric) => {
    vitals[name] = rating
  }
  const left = () => {
    if (document.visibilityState !== "hidden" || Object.keys(vitals).length === 0) return
    removeEventListener("visibilitychange", left)
    tell({ event: "vitals", vitals })
  }
  tell({ event: "view" })
  const broke = ({ target }: Event) => {
    // Pictures may be of other sites, and pages go on without.
    if (!(target instanceof HTMLImageElement)) failed()
  }
  // Of scripts that do not load, too.
  addEventListener("error", broke, { capture: true })
  addEventListener("unhandledrejection", failed)
  addEventListener("vite:preloadError", failed)
  for (const measure of [onLCP, onINP, onCLS]) measure(note)
  // After those of the measures, which end with it.
  addEventListener("visibilitychange", left)
  return { failed }
}
