import { execFileSync } from "node:child_process"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { describe, expect, it } from "vitest"

const root = fileURLToPath(new URL("../../..", import.meta.url))
const text = readFileSync(new URL("../../src/index.ts", import.meta.url), "utf8")
const patterns = JSON.parse(/ignore: (\[[^\]]*?),?\s*\]/.exec(text)?.[1]?.concat("]") ?? "") as string[]
const exceptions = patterns.filter((pattern) => pattern.startsWith("!")).map((pattern) => pattern.slice(1))

describe("the files that the source is loaded from", () => {
  it("have no wildcard in an exception, for which every ignored folder would be searched", () => {
    expect(exceptions.length).toBeGreaterThan(0)
    expect(exceptions.filter((pattern) => /[*?[\]\\^]/.test(pattern))).toEqual([])
  })

  it("contain every tracked text file at the top, for the gates that check them", () => {
    // The gate's container has no history, and no other file either.
    const tracked = existsSync(`${root}/.git`)
      ? execFileSync("git", ["ls-files"], { cwd: root, encoding: "utf8" }).split("\n")
      : readdirSync(root)
    const texts = tracked.filter((path) => /^[^/]+\.(md|[cm]?[jt]s|json|ya?ml)$/.test(path))
    expect(texts).toContain("dagger.json")
    expect(texts.filter((path) => !exceptions.includes(path))).toEqual([])
  })
})
