import { execFileSync } from "node:child_process"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "vitest"

const repository = join(import.meta.dirname, "../..")
const read = (path: string) => readFileSync(join(repository, path), "utf8")

const files = execFileSync("git", ["ls-files", "-z"], { cwd: repository, encoding: "utf8" })
  .split("\0")
  .filter(Boolean)

describe("CODEOWNERS", () => {
  const rules = read(".github/CODEOWNERS")
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => {
      const [pattern = "", ...owners] = line.split(/\s+/)
      return { pattern, owners }
    })
  const matches = (pattern: string, file: string) =>
    pattern === "*" || (pattern.endsWith("/") ? `/${file}`.startsWith(pattern) : `/${file}` === pattern)
  const ownersOf = (file: string) =>
    rules.filter(({ pattern }) => matches(pattern, file)).at(-1)?.owners ?? []

  it("uses only the patterns that this test understands", () => {
    for (const { pattern } of rules) expect(pattern).toMatch(/^(\*|\/[^*?[\]!]+)$/)
  })

  it("gives every tracked file an owner", () => {
    expect(files.filter((file) => ownersOf(file).length === 0)).toEqual([])
  })

  it("gives the platform team everything outside services/", () => {
    const others = files.filter((file) => !file.startsWith("services/"))
    expect(others.filter((file) => !ownersOf(file).includes("@f1-analytics/platform"))).toEqual([])
  })

  it("has no rule without a file", () => {
    expect(rules.filter(({ pattern }) => !files.some((file) => matches(pattern, file)))).toEqual([])
  })
})

describe("the workflow", () => {
  const steps = files
    .filter((file) => /^\.github\/.*\.yml$/.test(file))
    .flatMap((file) => read(file).split(/^ {4,6}- /m))
  const using = (action: string) => steps.filter((step) => step.includes(`uses: actions/cache${action}@`))

  it("writes a cache on main only", () => {
    expect(using("")).toEqual([]) // it saves after every job
    expect(using("/restore")).not.toEqual([])
    expect(using("/save")).not.toEqual([])
    for (const step of using("/save"))
      expect(step).toMatch(/^ +if: .*&& github\.ref == 'refs\/heads\/main' && .*$/m)
  })
})
