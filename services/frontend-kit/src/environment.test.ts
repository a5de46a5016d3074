import { spawnSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, describe, expect, test } from "vitest"

const script = join(import.meta.dirname, "../nginx/16-check-environment.envsh")

/** What the script leaves in the environment, or its exit code and complaint. */
function check(environment: Record<string, string>) {
  const { status, stdout, stderr } = spawnSync("sh", ["-c", '. "$0"; env -0', script], {
    env: { PATH: process.env.PATH, ...environment },
    encoding: "utf8",
  })
  const lines = stdout.split("\0").map((line): [string, string] => {
    const [name = "", ...value] = line.split("=")
    return [name, value.join("=")]
  })
  return { status, stderr, variables: Object.fromEntries(lines) }
}

test("fills in defaults", () => {
  const { status, variables } = check({ API_UPSTREAM: "http://10.0.0.7:8000" })
  expect(status).toBe(0)
  expect(variables).toMatchObject({
    API_UPSTREAM: "http://10.0.0.7:8000",
    API_BASE_URL: "",
    CSP_CONNECT_EXTRA: "",
    CSP_IMG_SRC: "'self' data:",
    ENVIRONMENT: "production",
    FLAGS_ON: "",
    PORT: "8080",
  })
})

test("a name from /etc/hosts becomes its address, which nginx would not find", () => {
  expect(check({ API_UPSTREAM: "http://localhost:8000" }).variables.API_UPSTREAM).toMatch(
    /^http:\/\/(127\.0\.0\.1|\[::1\]):8000$/,
  )
})

test("a name that nobody knows yet is left for later", () => {
  expect(check({ API_UPSTREAM: "http://api.invalid:8000" }).variables.API_UPSTREAM).toBe(
    "http://api.invalid:8000",
  )
})

test("pages may connect to an API on another origin", () => {
  const environment = { API_UPSTREAM: "http://10.0.0.7", API_BASE_URL: "https://api.example.org:444/base" }
  expect(check(environment).variables.CSP_CONNECT_EXTRA).toBe(" https://api.example.org:444")
})

test.each([
  ["API_UPSTREAM", ""],
  ["API_UPSTREAM", "api:8000"],
  ["API_UPSTREAM", "http://api:8000/path"],
  ["API_UPSTREAM", "http://api;\nserver {}"],
  ["API_BASE_URL", "https://api.example.org/"],
  ["API_BASE_URL", 'https://a.example"'],
  ["ENVIRONMENT", "prod"],
  ["PORT", "http"],
  ["SERVICE_VERSION", '1","x":"'],
  ["SERVICE_REVISION", "a\nb"],
  ["SERVICE_NAME", "a b"],
  ["CSP_IMG_SRC", "'self'; script-src *"],
  ["FLAGS", "print view"],
  ["FLAGS", "printView,"],
  ["FLAGS", 'x": 1'],
])("refuses %s=%j, naming it", (name, value) => {
  const { status, stderr } = check({ API_UPSTREAM: "http://10.0.0.7", [name]: value })
  expect(status).toBe(2)
  expect(stderr).toContain(`${name}: found "${value}"; allowed: `)
})

describe("flags", () => {
  const root = mkdtempSync(join(tmpdir(), "kit-"))
  afterAll(() => {
    rmSync(root, { recursive: true })
  })
  const start = (FLAGS: string) => check({ API_UPSTREAM: "http://10.0.0.7", WEB_ROOT: root, FLAGS })

  test("those named are on", () => {
    const { status, stderr, variables } = start("printView,sharing")
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" })
    expect(JSON.parse(`{${variables.FLAGS_ON ?? ""}}`)).toEqual({ printView: true, sharing: true })
  })

  test("one that the app does not know is named, and the server starts", () => {
    const release = { app: "sharing", backend: "api", contract: "0", flags: ["printView"] }
    writeFileSync(join(root, "release.json"), JSON.stringify(release, null, 2))
    const { status, stderr } = start("printView,sharing")
    expect(status).toBe(0)
    expect(stderr).toMatch(/^FLAGS: this app has no flag sharing and ignores it; .*\n$/)
  })
})

test("names every problem at once", () => {
  const { stderr } = check({ ENVIRONMENT: "prod", PORT: "x" })
  for (const name of ["API_UPSTREAM", "ENVIRONMENT", "PORT"]) expect(stderr).toContain(`${name}: `)
})
