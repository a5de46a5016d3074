/** Visitors of a web app, whose browsers tell its backend of the pages that they get, as `services/frontend-kit/src/visits.ts` does. */
import http from "node:http"
import { setTimeout as pause } from "node:timers/promises"

/** Where visitors find an app, and a router that finds its backend by the host name. */
export interface Visited {
  edge: string
  router: string
  backend: string
}

/**
 * One visitor: gets a page and its configuration, and tells that it was shown, whether something failed in it, and that it was fast.
 *
 * @param fails whether something fails in pages of a release
 * @throws Error when the edge names no release, or something is not answered as it must be
 */
export async function visit({ edge, router, backend }: Visited, fails: (release: string) => boolean) {
  const page = await ask(`${edge}/`, { accept: "text/html" })
  const timing = String(page.headers["server-timing"])
  const release = /^release;desc="([0-9a-f]{40})"$/.exec(timing)?.[1]
  if (release === undefined)
    throw new Error(`${edge}/ answers ${page.status}, and names its release as ${timing}`)
  // Keeps the visitor with what they got.
  const cookies = page.headers["set-cookie"]?.map((one) => one.split(";")[0]) ?? []
  const configuration = await ask(`${edge}/config.json`, { cookie: cookies.join("; ") })
  const { id: config } = JSON.parse(configuration.text) as { id: string }
  const tell = async (told: object) => {
    const body = JSON.stringify({ release, config, ...told })
    const headers = { host: backend, "content-type": "application/json" }
    const { status, text } = await ask(`${router}/api/visits`, headers, body)
    if (status !== 204) throw new Error(`${backend} answers ${status} to ${body}: ${text}`)
  }
  await tell({ event: "view" })
  if (fails(release)) await tell({ event: "failure" })
  await tell({ event: "vitals", vitals: { LCP: "good", INP: "good", CLS: "good" } })
}

/** Lets visitors come, one after another, until a task has ended, and gives back what that gives. */
export async function visitedDuring<Value>(
  task: Promise<Value>,
  visitor: () => Promise<void>,
): Promise<Value> {
  let over = false
  const ended = task.finally(() => (over = true))
  const coming = async () => {
    while (!over) {
      await visitor()
      await pause(100)
    }
  }
  const [value] = await Promise.all([ended, coming()])
  return value
}

/** Not by `fetch`: it sets the host itself, and takes connections again that may be closed meanwhile. */
function ask(url: string, headers: http.OutgoingHttpHeaders, body?: string) {
  const options = { method: body === undefined ? "GET" : "POST", agent: false, headers, timeout: 60_000 }
  return new Promise<{ status?: number; headers: http.IncomingHttpHeaders; text: string }>(
    (resolve, reject) => {
      const request = http.request(url, options, (response) => {
        const { statusCode: status, headers: answered } = response
        let text = ""
        response.setEncoding("utf8").on("data", (chunk: string) => (text += chunk))
        response.on("error", reject).on("end", () => {
          resolve({ ...(status !== undefined && { status }), headers: answered, text })
        })
      })
      request.on("timeout", () => request.destroy(new Error(`${url} gave no answer within a minute`)))
      request.on("error", reject).end(body)
    },
  )
}
