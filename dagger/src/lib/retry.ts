import { monotonic } from "./clock.js"
import { oneLine } from "./text.js"

/** Waits for a number of milliseconds. */
export type Pause = (milliseconds: number) => Promise<unknown>

/** Milliseconds before each further try: long enough for a registry to recover. */
const defaultDelays = [1_000, 5_000]

export interface RetryOptions {
  /** Milliseconds before each further try; their number limits the tries. Two tries more, after 1 s and 5 s, by default. */
  delays?: readonly number[]
  /** Errors that another try would not change. They are thrown at once. */
  unless?: (error: unknown) => boolean
  /** Called before each further try with the reason, in one line. */
  onRetry?: (reason: string) => void
  pause?: Pause
}

/**
 * Runs a task again while it throws.
 *
 * @param task receives the number of tries before this one
 * @throws what the last try threw
 */
export async function retry<Value>(
  task: (tried: number) => Promise<Value>,
  {
    delays = defaultDelays,
    unless = () => false,
    onRetry = () => undefined,
    pause = (milliseconds) => monotonic.pause(milliseconds),
  }: RetryOptions = {},
): Promise<Value> {
  for (const [tried, delay] of delays.entries()) {
    try {
      return await task(tried)
    } catch (error) {
      if (unless(error)) throw error
      onRetry(reasonOf(error))
      await pause(delay)
    }
  }
  return task(delays.length)
}

/** The last line of a command's stderr says more than its exit code. */
function reasonOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error)
  // The engine appends a trace id, which means nothing to people.
  const first = (message.trim().split("\n", 1)[0] ?? "").replace(/ *\[traceparent:[^\]]*\]/, "")
  const { stderr = "" } = error instanceof Error ? (error as { stderr?: string }) : {}
  const last = stderr.trim().split("\n").at(-1)?.trim()
  return oneLine(last ? `${first}: ${last}` : first)
}
