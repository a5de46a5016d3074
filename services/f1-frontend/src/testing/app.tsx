import { render } from "@testing-library/react"
import { http, HttpResponse, type JsonBodyType } from "msw"
import { setupServer } from "msw/node"
import { afterAll, afterEach, beforeAll, beforeEach, vi } from "vitest"
import { App } from "../App.tsx"
import * as data from "./fixtures.ts"

const answers: Record<string, JsonBodyType> = {
  "/api/f1/seasons": [2030, 2031],
  "/api/f1/races": data.season,
  "/api/f1/races/next": data.nextRace,
  "/api/f1/races/2031/2": data.pastRace,
  "/api/f1/drivers": data.drivers,
  "/api/f1/drivers/ada-swift": data.driver,
  "/api/f1/constructors": data.constructors,
  "/api/f1/constructors/aurora": data.team,
  "/api/f1/elo": data.elo,
  "/api/f1/performance": data.performance,
  "/api/f1/model": data.model,
  "/api/f1/monitoring": data.monitoring,
}

const server = setupServer()

/** Answers one address as given, before or instead of the usual answer. Status 200 unless told. */
export function answer(path: string, body: JsonBodyType, status = 200): void {
  server.use(http.get(`*${path}`, () => HttpResponse.json(body, { status })))
}

/** Answers one address with a problem. */
export function fail(path: string, status: number, detail: string): void {
  answer(path, { type: "about:blank", title: "Problem", status, detail }, status)
}

/** Notes the addresses asked for from now on. */
export function watchRequests(): string[] {
  const seen: string[] = []
  server.events.on("request:start", ({ request }) => {
    const { pathname, search } = new URL(request.url)
    seen.push(pathname + search)
  })
  return seen
}

/** Registers a backend with the fictional championship for the tests of a file; an unknown address is a 404 problem. */
export function withBackend(): void {
  beforeAll(() => {
    server.listen({ onUnhandledFrame: "error" })
  })
  beforeEach(() => {
    vi.stubGlobal("ResizeObserver", StillSize)
    server.use(
      http.get("*/api/f1/*", ({ request }) => {
        const body = answers[new URL(request.url).pathname]
        if (body !== undefined) return HttpResponse.json(body)
        return HttpResponse.json(
          { title: "Not Found", status: 404, detail: "No such thing" },
          { status: 404 },
        )
      }),
    )
  })
  afterEach(() => {
    server.resetHandlers()
    server.events.removeAllListeners()
  })
  afterAll(() => {
    server.close()
  })
}

/** Opens the whole app at an address, with all flags off unless told. */
export function open(address: string, { tableDownload = false } = {}) {
  history.replaceState(null, "", address)
  const flags = { tableDownload }
  return render(<App config={{ apiBaseUrl: "", environment: "production", version: "1.2.3", flags }} />)
}

/** jsdom has no layout: nothing ever changes its size. */
class StillSize implements ResizeObserver {
  observe(): void {
    return
  }
  unobserve(): void {
    return
  }
  disconnect(): void {
    return
  }
}
