import { describe, expect, it } from "vitest"
import { firstFinding, withRepositoryPaths } from "../../src/ci/runner/output.js"

describe("withRepositoryPaths", () => {
  it.each([
    ["flake8", "./src/a.py:2:1: F401 'sys' imported", "services/api/src/a.py:2:1: F401 'sys' imported"],
    ["mypy", "src/a.py:3: error: Name", "services/api/src/a.py:3: error: Name"],
    ["mypy in another folder", "../servicekit/src/b.py:3: note", "services/servicekit/src/b.py:3: note"],
    ["tsc", "src/App.tsx(3,10): error TS2322", "services/api/src/App.tsx(3,10): error TS2322"],
    ["ESLint", "/services/web/src/App.tsx\n  3:10  error  No", "services/web/src/App.tsx\n  3:10  error  No"],
    ["black", "--- /services/api/src/a.py\t2026", "--- services/api/src/a.py\t2026"],
    ["Prettier", "[warn] src/App.tsx", "[warn] services/api/src/App.tsx"],
    ["pytest", "FAILED tests/test_a.py::test_b - no", "FAILED services/api/tests/test_a.py::test_b - no"],
    ["a sentence", "Found 1 error in 1 file (checked 32 source files)", undefined],
    ["an address", "http://example.com/a.py:3", undefined],
    ["a file of the system", '  File "/usr/lib/python3.11/ast.py", line 50', undefined],
  ])("names files as the repository does for %s", (_, output, shown = output) => {
    expect(withRepositoryPaths(output, "services/api")).toBe(shown)
  })

  it("leaves the files of a tool that runs at the top", () => {
    expect(withRepositoryPaths("dagger/src/a.ts(1,2): error\n/src/dagger/src/a.ts", ".")).toBe(
      "dagger/src/a.ts(1,2): error\ndagger/src/a.ts",
    )
    expect(withRepositoryPaths("src/a.py:1: no", undefined)).toBe("src/a.py:1: no")
  })
})

describe("firstFinding", () => {
  it.each([
    ["flake8", "a.py:2:1: F401 first\na.py:9:1: F401 second\n2", "a.py:2:1: F401 first"],
    ["mypy", "src/a.py:3: error: Name\nFound 1 error in 1 file", "src/a.py:3: error: Name"],
    [
      "ESLint",
      "\nweb/src/App.tsx\n  2:1  warning  Maybe\n  3:10  error  No  rule\n\n✖ 1 problem",
      "web/src/App.tsx:3:10  error  No  rule",
    ],
    [
      "pytest",
      "tests/test_a.py:12: AssertionError\nFAILED tests/test_a.py::test_b - assert 1 == 2\n1 failed in 2s",
      "FAILED tests/test_a.py::test_b - assert 1 == 2",
    ],
    ["Vitest", " FAIL  tests/a.test.ts > adds\n ❯ tests/a.test.ts:3:5", "FAIL  tests/a.test.ts > adds"],
    ["an output without one", "Could not open the file\nkilled", undefined],
  ])("is the first one of %s", (_, output, first) => {
    expect(firstFinding(output)).toBe(first)
  })
})
