import "@testing-library/jest-dom/vitest"
import { cleanup, configure } from "@testing-library/react"
import { afterEach, beforeEach, vi } from "vitest"

// Machines of a pipeline are slow at times; a test that passes waits no longer than it must.
configure({ asyncUtilTimeout: 5000 })

/** Sets what `matchMedia` answers in jsdom, which has none: the queries given match, and all others do not. */
export function setMatchingMedia(...queries: string[]): void {
  matching = new Set(queries)
  for (const listener of listeners) listener()
}

let matching = new Set<string>()
const listeners = new Set<() => void>()

beforeEach(() => {
  matching = new Set()
  vi.stubGlobal("matchMedia", (media: string) => ({
    media,
    get matches() {
      return matching.has(media)
    },
    addEventListener: (_type: string, listener: () => void) => listeners.add(listener),
    removeEventListener: (_type: string, listener: () => void) => listeners.delete(listener),
  }))
  vi.stubGlobal("scrollTo", () => undefined)
})

afterEach(() => {
  cleanup()
  localStorage.clear()
  sessionStorage.clear()
})
