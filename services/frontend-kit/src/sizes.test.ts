import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, expect, test } from "vitest"
import { sizesOf } from "../config/sizes.ts"

let dist: string
beforeEach(() => {
  dist = mkdtempSync(join(tmpdir(), "kit-"))
  mkdirSync(join(dist, "assets"))
})
afterEach(() => {
  rmSync(dist, { recursive: true })
})

const write = (path: string, bytes: number | string) => {
  writeFileSync(join(dist, path), typeof bytes === "string" ? bytes : "x".repeat(bytes))
}

test("counts what is downloaded once, apart for the start page, by names without hashes", () => {
  const html =
    '<script src="/assets/index-D6BJKb_J.js"></script><link rel="stylesheet" href="/assets/index-Dn4o-BZx.css">' +
    '<link rel="icon" href="/icon.svg">'
  write("index.html", html)
  write("icon.svg", 7)
  write("assets/index-D6BJKb_J.js", 900)
  write("assets/index-D6BJKb_J.js.br", 300)
  write("assets/index-D6BJKb_J.js.gz", 350)
  write("assets/index-Dn4o-BZx.css", 40)
  write("assets/young-serif-latin-400-normal-D1tz0Z9s.woff2", 50)
  write("assets/page-11111111.js", 60)
  write("assets/page-22222222.js", 5)
  expect(sizesOf(dist)).toEqual({
    start: { "assets/index.js": 300, "assets/index.css": 40 },
    rest: {
      "assets/page.js": 65,
      "assets/young-serif-latin-400-normal.woff2": 50,
      "icon.svg": 7,
      "index.html": html.length,
    },
  })
})

test("refuses what is no build", () => {
  expect(() => sizesOf(dist)).toThrow("index.html")
  write("index.html", "<p>")
  expect(() => sizesOf(dist)).toThrow("names no script")
})
