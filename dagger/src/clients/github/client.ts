import type { Octokit } from "@octokit/rest"
import { reportProgress } from "../../lib/progress.js"

/** Seconds that a command waits at most where GitHub limits requests, and how often for one request. */
const wait = { most: 300, times: 2 }

/**
 * A client of GitHub's REST API. It asks again where GitHub fails for a moment, waits where GitHub limits requests, and leaves a second between changes, as GitHub wants it.
 *
 * @param api address of the API, of an own server
 */
export async function gitHub(token: string, api = "https://api.github.com"): Promise<Octokit> {
  // Loaded here, because few functions need it.
  const [{ Octokit }, { retry }, { throttling }] = await Promise.all([
    import("@octokit/rest"),
    import("@octokit/plugin-retry"),
    import("@octokit/plugin-throttling"),
  ])
  const waits = (seconds: number, { url }: { url: string }, _: unknown, tried: number) => {
    if (seconds > wait.most || tried >= wait.times) return false
    reportProgress(`GitHub limits requests: ${url} waits ${seconds} s`)
    return true
  }
  return new (Octokit.plugin(retry, throttling))({
    auth: token,
    baseUrl: api,
    userAgent: "pitwall",
    throttle: { onRateLimit: waits, onSecondaryRateLimit: waits },
    log: { debug: quiet, info: quiet, warn: quiet, error: quiet },
  })
}

const quiet = () => undefined
