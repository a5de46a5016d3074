import { http, HttpResponse, delay } from "msw"
import { expect, test } from "vitest"
import { startServer } from "../testing/server.ts"
import { loadRuntimeConfig, RuntimeConfigError } from "./runtimeConfig.ts"

const server = startServer()

function answer(body: unknown, status = 200) {
  server.use(http.get("*/config.json", () => HttpResponse.json(body as object, { status })))
}

const good = { apiBaseUrl: "", environment: "staging", version: "1.2.3" }

test.each(["", "https://api.example.org", "http://localhost:8000/base"])(
  "takes apiBaseUrl %j",
  async (apiBaseUrl) => {
    answer({ ...good, apiBaseUrl })
    await expect(loadRuntimeConfig()).resolves.toEqual({ ...good, apiBaseUrl })
  },
)

test.each([
  [{ ...good, environment: "test" }, /must be development, staging or production\n.*environment/],
  [{ ...good, version: "" }, /version/],
  [{ ...good, apiBaseUrl: "https://api.example.org/" }, /apiBaseUrl/],
  [{ ...good, apiBaseUrl: "/api" }, /apiBaseUrl/],
  [null, /object/],
])("refuses %j and names what is wrong", async (body, message) => {
  answer(body)
  const failure = loadRuntimeConfig()
  await expect(failure).rejects.toThrow(RuntimeConfigError)
  await expect(failure).rejects.toThrow(message)
})

test("says that the file is missing", async () => {
  answer({}, 404)
  await expect(loadRuntimeConfig()).rejects.toThrow("/config.json: the server answered 404")
})

test("says that the answer is no JSON", async () => {
  server.use(http.get("*/config.json", () => HttpResponse.html("<!doctype html>")))
  await expect(loadRuntimeConfig()).rejects.toThrow("the answer is not JSON")
})

test("says that there was no answer in time", async () => {
  server.use(http.get("*/config.json", () => delay("infinite")))
  await expect(loadRuntimeConfig({ timeoutMs: 50 })).rejects.toThrow("no answer within 0.05 seconds")
})

test("says that the server cannot be reached", async () => {
  server.use(http.get("*/config.json", () => HttpResponse.error()))
  await expect(loadRuntimeConfig({ timeoutMs: 60_000 })).rejects.toThrow("the server cannot be reached")
})

test("tries again when the server is busy for a moment", async () => {
  server.use(http.get("*/config.json", () => new HttpResponse(null, { status: 503 }), { once: true }))
  server.use(http.get("*/config.json", () => HttpResponse.json(good)))
  server.use(http.get("*/config.json", () => new HttpResponse(null, { status: 503 }), { once: true }))
  await expect(loadRuntimeConfig()).resolves.toEqual(good)
})
