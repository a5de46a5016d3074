import { readFileSync } from "node:fs"
import { join } from "node:path"
import { expect, test, vi } from "vitest"
import { setMatchingMedia } from "../../testing/setup.ts"

const source = readFileSync(join(import.meta.dirname, "before-paint.js"), "utf8")

function run(): string | undefined {
  const script = document.createElement("script")
  script.textContent = source
  // jsdom runs no scripts: the text is evaluated as the browser would, in the page's scope.
  ;(0, eval)(script.textContent)
  return document.documentElement.dataset.theme
}

test.each([
  [null, false, "light"],
  [null, true, "dark"],
  ["system", true, "dark"],
  ["light", true, "light"],
  ["dark", false, "dark"],
])("stored %s on a dark system %s shows %s", (stored, systemDark, expected) => {
  if (stored) localStorage.setItem("theme", stored)
  if (systemDark) setMatchingMedia("(prefers-color-scheme: dark)")
  expect(run()).toBe(expected)
})

test("follows the system without storage", () => {
  vi.spyOn(Storage.prototype, "getItem").mockImplementation(() => {
    throw new DOMException("closed", "SecurityError")
  })
  expect(run()).toBe("light")
})
