import { http, HttpResponse, delay } from "msw"
import { expect, test, vi } from "vitest"
import { startServer } from "../testing/server.ts"
import { loadRuntimeConfig, RuntimeConfigError } from "./runtimeConfig.ts"

const server = startServer()

function answer(body: unknown, status = 200) {
  server.use(http.get("*/config.json", () => HttpResponse.json(body as object, { status })))
}

const declared = { printView: "prints", sharing: "shares" }
const off = { printView: false, sharing: false }
const good = { apiBaseUrl: "", environment: "staging", version: "1.2.3" }

test.each(["", "https://api.example.org", "http://localhost:8000/base"])(
  "takes apiBaseUrl %j",
  async (apiBaseUrl) => {
    answer({ ...good, apiBaseUrl })
    await expect(loadRuntimeConfig(declared)).resolves.toEqual({ ...good, apiBaseUrl, flags: off })
  },
)

test.each([
  [{ ...good, environment: "test" }, /must be development, staging or production\n.*environment/],
  [{ ...good, version: "" }, /version/],
  [{ ...good, apiBaseUrl: "https://api.example.org/" }, /apiBaseUrl/],
  [{ ...good, apiBaseUrl: "/api" }, /apiBaseUrl/],
  [{ ...good, flags: { printView: "yes" } }, /must be true or false\n.*flags\.printView/],
  [{ ...good, flags: { printView: null } }, /must be true or false\n.*flags\.printView/],
  [{ ...good, flags: "printView" }, /must be an object with true or false for each flag\n.*flags/],
  [{ ...good, flags: null }, /must be an object with true or false for each flag/],
  [null, /object/],
])("refuses %j and names what is wrong", async (body, message) => {
  answer(body)
  const failure = loadRuntimeConfig(declared)
  await expect(failure).rejects.toThrow(RuntimeConfigError)
  await expect(failure).rejects.toThrow(message)
})

test("flags are off unless they are turned on", async () => {
  answer({ ...good, flags: { sharing: true } })
  await expect(loadRuntimeConfig(declared)).resolves.toEqual({ ...good, flags: { ...off, sharing: true } })
})

test("a flag that the app does not know is named, and does not stop it", async () => {
  const warn = vi.spyOn(console, "warn").mockReturnValue()
  answer({ ...good, flags: { printVeiw: true, sharing: true, toString: 3 } })
  await expect(loadRuntimeConfig(declared)).resolves.toEqual({ ...good, flags: { ...off, sharing: true } })
  expect(warn.mock.calls).toEqual([
    ["/config.json: flags.printVeiw: this app has no such flag and ignores it; allowed: printView, sharing"],
    ["/config.json: flags.toString: this app has no such flag and ignores it; allowed: printView, sharing"],
  ])
  await expect(loadRuntimeConfig({})).resolves.toEqual({ ...good, flags: {} })
  expect(warn).toHaveBeenLastCalledWith(expect.stringContaining("allowed: none"))
})

test("says that the file is missing", async () => {
  answer({}, 404)
  await expect(loadRuntimeConfig(declared)).rejects.toThrow("/config.json: the server answered 404")
})

test("says that the answer is no JSON", async () => {
  server.use(http.get("*/config.json", () => HttpResponse.html("<!doctype html>")))
  await expect(loadRuntimeConfig(declared)).rejects.toThrow("the answer is not JSON")
})

test("says that there was no answer in time", async () => {
  server.use(http.get("*/config.json", () => delay("infinite")))
  await expect(loadRuntimeConfig(declared, { timeoutMs: 50 })).rejects.toThrow(
    "no answer within 0.05 seconds",
  )
})

test("says that the server cannot be reached", async () => {
  server.use(http.get("*/config.json", () => HttpResponse.error()))
  await expect(loadRuntimeConfig(declared, { timeoutMs: 60_000 })).rejects.toThrow(
    "the server cannot be reached",
  )
})

test("tries again when the server is busy for a moment", async () => {
  server.use(http.get("*/config.json", () => new HttpResponse(null, { status: 503 }), { once: true }))
  server.use(http.get("*/config.json", () => HttpResponse.json(good)))
  server.use(http.get("*/config.json", () => new HttpResponse(null, { status: 503 }), { once: true }))
  await expect(loadRuntimeConfig(declared)).resolves.toEqual({ ...good, flags: off })
})
