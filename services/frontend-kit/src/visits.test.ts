import { onLCP } from "web-vitals"
import { afterEach, beforeEach, expect, test, vi } from "vitest"
import { beginVisit, releaseShown } from "./visits.ts"

// jsdom lays nothing out, so it has nothing to measure; the browsers' tests look at the real ones.
vi.mock("web-vitals", () => ({ onCLS: vi.fn(), onINP: vi.fn(), onLCP: vi.fn() }))

const release = "0123456789".repeat(4)
let told: { url: string; visit: unknown; init: RequestInit }[] = []
const listeners: Parameters<typeof removeEventListener>[] = []

beforeEach(() => {
  told = []
  const add = window.addEventListener.bind(window)
  vi.spyOn(window, "addEventListener").mockImplementation(
    (...given: Parameters<typeof window.addEventListener>) => {
      listeners.push(given)
      add(...given)
    },
  )
  vi.stubGlobal("fetch", (url: string, init: RequestInit) => {
    told.push({ url, visit: JSON.parse(init.body as string), init })
    return Promise.resolve(new Response(null, { status: 204 }))
  })
})
// A page has one visit.
afterEach(() => {
  vi.clearAllMocks()
  for (const given of listeners.splice(0)) window.removeEventListener(...given)
})

const visits = () => told.map(({ visit }) => visit)

/** What the measures say; each of them reports its own. */
function measured(...metrics: { name: string; rating: string }[]) {
  const [[report] = []] = vi.mocked(onLCP).mock.calls
  for (const metric of metrics) report?.(metric as Parameters<typeof report>[0])
}

function leave() {
  vi.spyOn(document, "visibilityState", "get").mockReturnValue("hidden")
  document.dispatchEvent(new Event("visibilitychange", { bubbles: true }))
}

test("tells that a page is shown, of the release that the edge names", () => {
  vi.stubGlobal("performance", {
    getEntriesByType: (type: string) =>
      type === "navigation"
        ? [
            {
              serverTiming: [
                { name: "cache", description: "hit" },
                { name: "release", description: release },
              ],
            },
          ]
        : [],
  })
  beginVisit("https://api.example.com/api/visits")
  expect(told).toMatchObject([
    { url: "https://api.example.com/api/visits", init: { method: "POST", keepalive: true } },
  ])
  expect(visits()).toEqual([{ release, event: "view" }])
})

test.each([
  ["nothing of how it was loaded", []],
  ["no release", [{ serverTiming: [] }]],
])("tells nothing of a page of which the browser knows %s", (_, entries) => {
  vi.stubGlobal("performance", { getEntriesByType: () => entries })
  expect(releaseShown()).toBeUndefined()
  beginVisit("/api/visits").failed()
  window.dispatchEvent(new Event("error"))
  expect(visits()).toEqual([])
})

test.each([
  ["an error", () => window.dispatchEvent(new Event("error"))],
  ["a rejection that nobody handles", () => window.dispatchEvent(new Event("unhandledrejection"))],
  ["a part of the app that does not load", () => window.dispatchEvent(new Event("vite:preloadError"))],
  ["a script that does not load", () => document.body.dispatchEvent(new Event("error"))],
])("tells of %s, once", (_, fail) => {
  const visit = beginVisit("/api/visits", { release })
  fail()
  fail()
  visit.failed()
  expect(visits()).toEqual([
    { release, event: "view" },
    { release, event: "failure" },
  ])
})

test("tells nothing of a picture that does not load", () => {
  beginVisit("/api/visits", { release })
  document.body.appendChild(new Image()).dispatchEvent(new Event("error"))
  expect(visits()).toEqual([{ release, event: "view" }])
})

test("tells how fast the page was when it is left first", () => {
  beginVisit("/api/visits", { release })
  document.dispatchEvent(new Event("visibilitychange", { bubbles: true }))
  measured({ name: "LCP", rating: "good" }, { name: "CLS", rating: "poor" }, { name: "LCP", rating: "poor" })
  leave()
  leave()
  expect(visits()).toEqual([
    { release, event: "view" },
    { release, event: "vitals", vitals: { LCP: "poor", CLS: "poor" } },
  ])
})

test("tells which configuration the page has", () => {
  beginVisit("/api/visits", { release, config: "c".repeat(40) })
  expect(visits()).toEqual([{ release, config: "c".repeat(40), event: "view" }])
})

test("reads what it is answered, without which browsers take the request for one that goes on", async () => {
  const answers = [new Response("{}", { status: 429 }), new Response("{}", { status: 429 })]
  const rest = [...answers]
  vi.stubGlobal("fetch", () => Promise.resolve(rest.shift()))
  beginVisit("/api/visits", { release }).failed()
  await vi.waitFor(() => {
    expect(answers.map(({ bodyUsed }) => bodyUsed)).toEqual([true, true])
  })
})

test("tells nothing of a page that was left before anything was measured", () => {
  beginVisit("/api/visits", { release })
  leave()
  expect(visits()).toEqual([{ release, event: "view" }])
})

test("works where the backend cannot be told", async () => {
  const warn = vi.spyOn(console, "warn").mockReturnValue(undefined)
  vi.stubGlobal("fetch", () => Promise.reject(new TypeError("Failed to fetch")))
  beginVisit("/api/visits", { release })
  await vi.waitFor(() => {
    expect(warn).toHaveBeenCalledWith("/api/visits could not be told of this visit:", expect.any(TypeError))
  })
})
