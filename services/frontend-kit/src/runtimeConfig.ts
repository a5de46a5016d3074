import ky, { HTTPError, TimeoutError } from "ky"
import * as z from "zod/mini"

const schema = z.object(
  {
    /** Where the API is: "" for this origin, or an absolute URL without a slash at the end. */
    apiBaseUrl: z
      .string('must be "" or an absolute URL')
      .check(
        z.regex(
          /^(https?:\/\/[^/\s]+(\/[^\s]*[^/\s])?)?$/,
          'must be "" (this origin) or an absolute URL without a slash at the end',
        ),
      ),
    environment: z.enum(
      ["development", "staging", "production"],
      "must be development, staging or production",
    ),
    version: z.string("must be a text").check(z.minLength(1, "must not be empty")),
  },
  "must be an object",
)

/** What differs between environments; the build itself is the same everywhere. */
export type RuntimeConfig = z.infer<typeof schema>

/** /config.json could not be had or is not what it must be; the message says which and what is allowed. */
export class RuntimeConfigError extends Error {
  override name = "RuntimeConfigError"
}

export interface LoadOptions {
  /** Default /config.json. */
  url?: string
  /** Milliseconds for the whole of it, retries included. Default 8000. */
  timeoutMs?: number
}

/**
 * Loads and checks the runtime configuration.
 *
 * @throws RuntimeConfigError when there is no answer in time, an error status, or a configuration of the wrong shape.
 */
export async function loadRuntimeConfig({
  url = "/config.json",
  timeoutMs = 8000,
}: LoadOptions = {}): Promise<RuntimeConfig> {
  let body: unknown
  try {
    body = await ky
      .get(new URL(url, location.href), {
        cache: "no-store",
        timeout: timeoutMs,
        totalTimeout: timeoutMs,
        retry: { limit: 2, jitter: true },
      })
      .json()
  } catch (error) {
    throw new RuntimeConfigError(`${url}: ${reason(error, timeoutMs)}`, { cause: error })
  }
  const parsed = schema.safeParse(body)
  if (!parsed.success) throw new RuntimeConfigError(`${url} is not valid:\n${z.prettifyError(parsed.error)}`)
  return parsed.data
}

function reason(error: unknown, timeoutMs: number): string {
  if (error instanceof HTTPError) return `the server answered ${error.response.status}`
  if (error instanceof TimeoutError) return `no answer within ${timeoutMs / 1000} seconds`
  if (error instanceof SyntaxError) return "the answer is not JSON"
  return "the server cannot be reached"
}
