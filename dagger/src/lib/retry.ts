import { oneLine } from "./text.js"

/** Waits. */
export type Pause = (milliseconds: number) => Promise<void>

const sleep: Pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds))

/** Milliseconds before each further try: long enough for a registry to catch its breath. */
const delays = [1_000, 5_000]

/**
 * Tries something again when it throws.
 *
 * @param options.unless errors that another try would not change; they are thrown at once
 * @param options.onRetry is told why, in one line, before each further try
 * @throws what the last try threw
 */
export async function attempt<Result>(
  task: () => Promise<Result>,
  {
    unless = () => false,
    onRetry = () => undefined,
    pause = sleep,
  }: { unless?: (error: unknown) => boolean; onRetry?: (reason: string) => void; pause?: Pause } = {},
): Promise<Result> {
  for (const delay of delays) {
    try {
      return await task()
    } catch (error) {
      if (unless(error)) throw error
      onRetry(reasonOf(error))
      await pause(delay)
    }
  }
  return task()
}

/** Of a command, what it said last says more than its exit code. */
function reasonOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error)
  // The engine's own note for its traces says nothing to people.
  const first = (message.trim().split("\n", 1)[0] ?? "").replace(/ *\[traceparent:[^\]]*\]/, "")
  const { stderr = "" } = error instanceof Error ? (error as { stderr?: string }) : {}
  const last = stderr.trim().split("\n").at(-1)?.trim()
  return oneLine(last ? `${first}: ${last}` : first)
}
