import type { RequestHandler } from "msw"
import { setupServer } from "msw/node"
import { afterAll, afterEach, beforeAll } from "vitest"

/** A network for the tests of this file: it answers as `handlers` say, and a request that none of them knows fails. */
export function startServer(...handlers: RequestHandler[]): ReturnType<typeof setupServer> {
  const server = setupServer(...handlers)
  beforeAll(() => {
    server.listen({ onUnhandledFrame: "error" })
  })
  afterEach(() => {
    server.resetHandlers()
  })
  afterAll(() => {
    server.close()
  })
  return server
}
