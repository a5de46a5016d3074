import ky, { HTTPError, TimeoutError } from "ky"
import * as z from "zod/mini"
import type { FlagDeclarations, Flags } from "./flags.ts"

const settings = z.object(
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
    /** Which configuration this is; a web server without releases has none. */
    id: z.optional(
      z.string("must be a text").check(z.regex(/^[0-9a-f]{40}$/, "must be 40 hexadecimal digits")),
    ),
  },
  "must be an object",
)

/** What differs between environments; the build itself is the same everywhere. */
export type RuntimeConfig<Declared extends FlagDeclarations = FlagDeclarations> = z.infer<typeof settings> & {
  flags: Flags<Declared>
}

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
 * Loads and checks the runtime configuration. A flag that is not there is off. One that this app does not know is ignored with a
 * warning in the console: a configuration may be older or newer than the app, and a word too many must not take it down.
 *
 * @param declared the flags that the app knows
 * @throws RuntimeConfigError when there is no answer in time, an error status, or a configuration of the wrong shape, such as a
 *   known flag that is neither true nor false.
 */
export async function loadRuntimeConfig<Declared extends FlagDeclarations>(
  declared: Declared,
  { url = "/config.json", timeoutMs = 8000 }: LoadOptions = {},
): Promise<RuntimeConfig<Declared>> {
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
  const parsed = schemaFor(declared).safeParse(body)
  if (!parsed.success) throw new RuntimeConfigError(`${url} is not valid:\n${z.prettifyError(parsed.error)}`)
  const { flags, ...others } = parsed.data
  const names = Object.keys(declared)
  for (const name of Object.keys(flags).filter((name) => !names.includes(name))) {
    console.warn(
      `${url}: flags.${name}: this app has no such flag and ignores it; allowed: ${names.join(", ") || "none"}`,
    )
  }
  const on = Object.fromEntries(names.map((name) => [name, flags[name] === true]))
  return { ...others, flags: on as Flags<Declared> }
}

function schemaFor(declared: FlagDeclarations) {
  const flag = z.optional(z.boolean("must be true or false"))
  const known = Object.fromEntries(Object.keys(declared).map((name) => [name, flag]))
  const flags = z.looseObject(known, "must be an object with true or false for each flag")
  return z.extend(settings, { flags: z.prefault(flags, {}) })
}

function reason(error: unknown, timeoutMs: number): string {
  if (error instanceof HTTPError) return `the server answered ${error.response.status}`
  if (error instanceof TimeoutError) return `no answer within ${timeoutMs / 1000} seconds`
  if (error instanceof SyntaxError) return "the answer is not JSON"
  return "the server cannot be reached"
}
