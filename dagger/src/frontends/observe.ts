import type { Clock } from "../lib/clock.js"
import { oneLine } from "../lib/text.js"
import { assetsFolder, type ReleaseManifest } from "./manifest.js"
import type { Configuration } from "./publish.js"

/** Milliseconds: for a change to reach the edge, between two questions, and for one answer. */
const waits = { spread: 3 * 60_000, pause: 2_000, answer: 10_000 }
/** Faulty answers of the new release, one after another, after which it is not waited for any longer. */
const faultsInARow = 5

/** What the edge answers. */
export type Observation =
  | { result: "served" }
  /** It answers with the release, and something is wrong with it. */
  | { result: "broken"; reason: string }
  /** It has not answered with the release in time. */
  | { result: "late"; reason: string }

/** Asks over HTTP, as a browser does. */
export type Fetch = (
  url: string,
  init: { headers: Record<string, string>; signal: AbortSignal },
) => Promise<Response>

/** What visitors must get. */
export interface Expected {
  release: string
  manifest: ReleaseManifest
  configuration: Configuration
}

/**
 * Asks the edge at the app's address until it answers with a release, its configuration and its files.
 *
 * @param options.patient does not take faulty answers for those of the release: before the first one is live, the edge has nothing
 * @param options.cookies such as `pitwall-web=0`, to be among those who get the canary
 * @param options.headers such as those that ask for a preview
 */
export async function observe(
  address: string,
  expected: Expected,
  {
    fetch,
    clock,
    cookies = "",
    headers = {},
    patient = false,
  }: {
    fetch: Fetch
    clock: Clock
    cookies?: string
    headers?: Record<string, string>
    patient?: boolean
  },
): Promise<Observation> {
  let reason = "it gave no answer"
  let faults = 0
  for (const until = clock.now() + waits.spread; clock.now() < until;) {
    const found = await look(address, expected, { fetch, cookies, headers })
    if (found.result === "served") return found
    faults = found.result === "broken" && !patient ? faults + 1 : 0
    reason = found.reason
    if (faults >= faultsInARow) return { result: "broken", reason }
    await clock.pause(waits.pause)
  }
  return { result: "late", reason }
}

/** One look at the edge. */
export async function look(
  address: string,
  { release, manifest, configuration }: Expected,
  { fetch, cookies, headers = {} }: { fetch: Fetch; cookies: string; headers?: Record<string, string> },
): Promise<Observation> {
  const ask = (path: string, accept: string) =>
    fetch(`${address}${path}`, {
      headers: { ...headers, accept, ...(cookies !== "" && { cookie: cookies }) },
      signal: AbortSignal.timeout(waits.answer),
    })
  try {
    const page = await ask("/", "text/html")
    await page.arrayBuffer()
    const answering = page.headers.get("x-release") ?? page.headers.get("x-amz-meta-release")
    if (answering !== null && answering !== release)
      return { result: "late", reason: `${address} still answers with release ${oneLine(answering, 60)}` }
    if (page.status !== 200) return { result: "broken", reason: `${address}/ answers ${page.status}` }
    if (answering === null)
      return { result: "late", reason: `${address} does not say which release it answers with (x-release)` }
    const config = await ask("/config.json", "application/json")
    const text = await config.text()
    if (config.status !== 200)
      return { result: "broken", reason: `${address}/config.json answers ${config.status}` }
    if (text !== configuration.text)
      return { result: "late", reason: `${address}/config.json is still another one` }
    const asset = manifest.files.find(({ path }) => path.startsWith(assetsFolder) && path.endsWith(".js"))
    if (!asset) return { result: "served" }
    const script = await ask(`/${asset.path}`, "*/*")
    await script.arrayBuffer()
    return script.status === 200
      ? { result: "served" }
      : { result: "broken", reason: `${address}/${asset.path} answers ${script.status}` }
  } catch (error) {
    return { result: "late", reason: `${address} gave no answer: ${oneLine((error as Error).message)}` }
  }
}
