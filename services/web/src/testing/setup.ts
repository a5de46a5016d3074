import "fake-indexeddb/auto"
import { beforeEach, vi } from "vitest"
import { kitchen } from "./kitchen.tsx"

// Made by the build, which tests do without.
vi.mock("virtual:pwa-register/react", () => import("./serviceWorker.ts"))

// jsdom has dialogs, but does not open them.
HTMLDialogElement.prototype.showModal = function () {
  this.open = true
}
HTMLDialogElement.prototype.close = function () {
  if (!this.open) return
  this.open = false
  this.dispatchEvent(new Event("close"))
}

beforeEach(() => {
  kitchen.reset()
})
