import { describe, expect, it } from "vitest"
import { affected } from "../../src/ci/affected/affected.js"
import { catalogWith } from "./catalog.js"

const catalog = catalogWith(
  [
    "servicekit: { kind: python }",
    "api: { kind: python, database: recipes }",
    "web: { kind: react, backend: api }",
  ],
  {
    api: { dockerfile: "COPY servicekit/src /app/\nCOPY api/src /app/" },
    web: { dockerfile: "COPY web/ web/" },
  },
)

const groups = (...paths: string[]) => {
  const call = affected(catalog, paths)
  return call.everything ? `everything: ${call.reason}` : Object.keys(call.groups).sort()
}

describe("affected", () => {
  it.each([
    // The browser tests of web run on the image of its backend.
    ["services/api/src/recipes/app.py", ["api", "web"]],
    ["services/api/openapi.json", ["api", "module", "web"]],
    ["services/servicekit/src/servicekit/app.py", ["api", "servicekit", "web"]],
    ["services/servicekit/src/servicekit/middleware.py", ["api", "module", "servicekit", "web"]],
    ["services/pyproject.toml", ["api", "servicekit", "web"]],
    ["services/package-lock.json", ["web"]],
    ["services/README.md", []],
    ["dagger/test/catalog.test.ts", ["module"]],
    ["engine/main.go", ["module"]],
    ["README.md", ["module"]],
    ["package-lock.json", ["module"]],
    [".dependency-cruiser.mjs", ["module"]],
    ["services/servicekit", ["api", "servicekit", "web"]],
  ])("%s affects %j", (path, expected) => {
    // Scanners read every file.
    expect(groups(path)).toEqual([...expected, "security"].sort())
  })

  it.each([
    "dagger/src/index.ts",
    "dagger/config/services.yaml",
    "dagger/package-lock.json",
    "dagger.json",
    "services/compose.yaml",
    "services/new/Dockerfile",
    "terraform/main.tf",
    ".env",
  ])("%s may affect everything", (path) => {
    expect(groups("services/api/src/recipes/app.py", path)).toMatch(new RegExp(`^everything: ${path} `))
  })

  it("nothing, without a change", () => {
    expect(groups()).toEqual([])
  })
})
