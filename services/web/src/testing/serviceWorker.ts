import { useState } from "react"
import { vi } from "vitest"

/** Stands in for the service worker's registration: `waiting` says whether a new version waits. */
export const serviceWorker = { waiting: false, update: vi.fn(() => Promise.resolve()) }

export function useRegisterSW() {
  return {
    needRefresh: useState(serviceWorker.waiting),
    offlineReady: useState(false),
    updateServiceWorker: serviceWorker.update,
  }
}
