import { delay, http, HttpResponse } from "msw"
import { expect, test, vi } from "vitest"
import { startServer } from "../testing/server.ts"
import { ApiError, createApi } from "./api.ts"

interface Paths {
  "/api/things": {
    get: {
      parameters: { query?: { tag?: string[] } }
      responses: { 200: { content: { "application/json": { name: string } } } }
    }
    post: {
      requestBody: { content: { "application/json": { name: string } } }
      responses: { 201: { content: { "application/json": { name: string } } } }
    }
  }
}

const server = startServer()

const at = "http://localhost:3000/api/things"
const api = createApi<Paths>({ baseUrl: "", timeoutMs: 60_000 })

async function failure(call: Promise<unknown>): Promise<ApiError> {
  const error: unknown = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(ApiError)
  return error as ApiError
}

test("gives the data, and sends lists as repeated parameters and a request id", async () => {
  let request: Request | undefined
  server.use(
    http.get(at, (info) => {
      request = info.request
      return HttpResponse.json({ name: "a" })
    }),
  )
  const { data } = await api.GET("/api/things", { params: { query: { tag: ["x", "y"] } } })
  expect(data).toEqual({ name: "a" })
  expect(new URL(request?.url ?? "").search).toBe("?tag=x&tag=y")
  expect(request?.headers.get("X-Request-ID")).toMatch(/^[0-9a-f-]{36}$/)
  expect(request?.headers.has("Authorization")).toBe(false)
})

test("calls the API where the configuration says that it is", async () => {
  server.use(http.get("https://api.example.org/base/api/things", () => HttpResponse.json({ name: "far" })))
  const far = createApi<Paths>({ baseUrl: "https://api.example.org/base" })
  expect((await far.GET("/api/things")).data).toEqual({ name: "far" })
})

test("a problem becomes an ApiError with its detail, status and request id", async () => {
  const problem = {
    title: "Conflict",
    status: 409,
    detail: "There is one already.",
    errors: [{ location: "body" }],
  }
  server.use(
    http.post(at, () => HttpResponse.json(problem, { status: 409, headers: { "X-Request-ID": "r-1" } })),
  )
  const error = await failure(api.POST("/api/things", { body: { name: "a" } }))
  expect(error).toMatchObject({
    kind: "problem",
    status: 409,
    requestId: "r-1",
    message: "There is one already.",
  })
  expect(error.problem).toEqual(problem)
})

test("an error without a problem still says its status", async () => {
  server.use(http.post(at, () => HttpResponse.html("<h1>Bad gateway</h1>", { status: 502 })))
  const error = await failure(api.POST("/api/things", { body: { name: "a" } }))
  expect(error).toMatchObject({
    kind: "problem",
    status: 502,
    problem: {},
    message: "The server answered 502.",
  })
})

test("a GET is tried again, a POST never is", async () => {
  let gets = 0
  let posts = 0
  server.use(
    http.get(at, () =>
      ++gets < 3 ? new HttpResponse(null, { status: 503 }) : HttpResponse.json({ name: "late" }),
    ),
    http.post(at, () => {
      posts++
      return new HttpResponse(null, { status: 503 })
    }),
  )
  expect((await api.GET("/api/things")).data).toEqual({ name: "late" })
  expect(gets).toBe(3)
  await failure(api.POST("/api/things", { body: { name: "a" } }))
  expect(posts).toBe(1)
})

test("a GET that keeps failing is given up", async () => {
  let gets = 0
  server.use(
    http.get(at, () => {
      gets++
      return HttpResponse.json({ title: "Service Unavailable" }, { status: 503 })
    }),
  )
  const error = await failure(createApi<Paths>({ baseUrl: "", retries: 1 }).GET("/api/things"))
  expect(error).toMatchObject({ status: 503, message: "Service Unavailable" })
  expect(gets).toBe(2)
})

test("no answer in time and no network are told apart", async () => {
  const hasty = createApi<Paths>({ baseUrl: "", timeoutMs: 30, retries: 0 })
  server.use(http.get(at, () => delay("infinite")))
  expect(await failure(hasty.GET("/api/things"))).toMatchObject({ kind: "timeout", status: undefined })
  const patient = createApi<Paths>({ baseUrl: "", timeoutMs: 60_000, retries: 0 })
  server.use(http.get(at, () => HttpResponse.error()))
  expect(await failure(patient.GET("/api/things"))).toMatchObject({ kind: "network", status: undefined })
})

test("a cancelled call stays a cancelled call", async () => {
  server.use(http.get(at, () => delay("infinite")))
  const abort = new AbortController()
  const call = api.GET("/api/things", { signal: abort.signal })
  abort.abort()
  await expect(call).rejects.toMatchObject({ name: "AbortError" })
})

test("sends the token, and tells when it is not accepted", async () => {
  const onUnauthorized = vi.fn()
  let token: string | null = "t"
  const signedIn = createApi<Paths>({ baseUrl: "", token: () => token, onUnauthorized })
  const seen: (string | null)[] = []
  server.use(
    http.get(at, ({ request }) => {
      seen.push(request.headers.get("Authorization"))
      return HttpResponse.json({ title: "Unauthorized" }, { status: 401 })
    }),
  )
  await failure(signedIn.GET("/api/things"))
  token = null
  await failure(signedIn.GET("/api/things"))
  expect(seen).toEqual(["Bearer t", null])
  expect(onUnauthorized).toHaveBeenCalledTimes(1)
})
