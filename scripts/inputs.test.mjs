import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { digest, leftIn, machine, repositoryFiles, selected, withImports } from "./inputs.mjs"

/** @type {string} */
let root
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "inputs-"))
})
afterEach(() => {
  rmSync(root, { recursive: true })
})

const write = (/** @type {string} */ path, text = "") => {
  mkdirSync(dirname(join(root, path)), { recursive: true })
  writeFileSync(join(root, path), text)
}

it("finds every file but what tools leave behind", () => {
  for (const path of [
    "a.ts",
    ".github/x.yml",
    ".env",
    "dagger/src/coverage.ts",
    "sdk/x",
    "services/.flake8",
  ]) {
    write(path)
  }
  const left = [
    "node_modules/p/i.js",
    "dagger/node_modules/p",
    ".git/HEAD",
    "dagger/sdk/x",
    "services/a/dist/x",
  ]
  for (const path of [
    ...left,
    ".coverage.1",
    "a.log",
    "x/.mypy_cache/y",
    "reports/r",
    "b/__pycache__/c.pyc",
  ]) {
    write(path)
  }
  expect(repositoryFiles(root)).toEqual(
    [".env", ".github/x.yml", "a.ts", "dagger/src/coverage.ts", "sdk/x", "services/.flake8"].sort(),
  )
})

it("selects files and folders, without those behind an exclamation mark", () => {
  const files = ["daggerw", "engine/go.mod", "engine/test/a.ts", "engine2/x", "README.md"]
  expect(selected(["daggerw", "engine", "!engine/test"], files)).toEqual(["daggerw", "engine/go.mod"])
  expect(selected(["."], files)).toEqual(files)
  expect(selected(["eng"], files)).toEqual([])
  expect(leftIn(["daggerw", "!engine/test", "!engine2"], files)).toEqual([
    "daggerw",
    "engine/go.mod",
    "README.md",
  ])
})

it("follows relative imports, and no others", () => {
  write(
    "a/suite.ts",
    'import { b } from "../b/b.js"\nimport type {\n  C,\n} from "./c.js"\nimport "vitest"\n',
  )
  write("b/b.ts", 'export * from "./d.mjs"\nconst e = await import("./e.js")\nimport x from "../a/suite.js"')
  for (const path of ["a/c.ts", "b/d.mjs", "b/e.ts", "b/unused.ts"]) write(path)
  expect(withImports(root, "a/suite.ts").sort()).toEqual([
    "a/c.ts",
    "a/suite.ts",
    "b/b.ts",
    "b/d.mjs",
    "b/e.ts",
  ])
})

describe("the digest", () => {
  const files = () => repositoryFiles(root)
  beforeEach(() => {
    write("a", "one")
    write("b", "two")
  })

  it("is the same for the same files, in any order and named twice", () => {
    expect(digest(root, ["b", "a", "b"], "t")).toBe(digest(root, ["a", "b"], "t"))
  })

  it.each([
    [
      "contents",
      () => {
        write("a", "other")
      },
    ],
    [
      "an added file",
      () => {
        write("c")
      },
    ],
    [
      "a removed file",
      () => {
        unlinkSync(join(root, "a"))
      },
    ],
    [
      "a renamed file",
      () => {
        unlinkSync(join(root, "a"))
        write("c", "one")
      },
    ],
    [
      "a mode",
      () => {
        chmodSync(join(root, "a"), 0o755)
      },
    ],
    [
      "a link in place of a file",
      () => {
        unlinkSync(join(root, "a"))
        symlinkSync("one", join(root, "a"))
      },
    ],
    [
      "text that moves to another file",
      () => {
        write("a", "on")
        write("b", "etwo")
      },
    ],
  ])("changes with %s", (_, change) => {
    const before = digest(root, files())
    change()
    expect(digest(root, files())).not.toBe(before)
  })

  it("changes with the text", () => {
    expect(digest(root, files(), "t")).not.toBe(digest(root, files(), "u"))
  })
})

it("describes the machine: which engine the environment leads to", () => {
  expect(machine({})).toBe(machine({ HOME: "/elsewhere", DAGGER_CLOUD_TOKEN: "secret" }))
  expect(machine({})).not.toBe(machine({ DAGGERW_ENGINE: "local" }))
  write("bin/docker")
  const env = { PATH: join(root, "bin") }
  expect(machine(env)).toBe(machine({}))
  chmodSync(join(root, "bin/docker"), 0o755)
  expect(machine(env)).not.toBe(machine({}))
})
