// Requests at a constant rate, whether earlier ones are answered or not.
import { Agent, request } from "node:http"
import { setTimeout as sleep } from "node:timers/promises"

/** A request without an answer for so long has failed. */
const longest = 30_000

/**
 * @typedef {{ method: string, path: string, body?: unknown, headers?: Record<string, string> }} Ask
 * @typedef {{ due: number, milliseconds: number, problem?: string }} Answer `due` is when it had to be sent, by `performance.now()`
 */

/**
 * Sends until `stop`. The time of an answer counts from the moment at which its request was due: when the sender or the server is late, all requests that
 * wait behind are late too.
 *
 * @param {number} rate requests a second
 * @param {(number: number) => Ask} ask
 * @param {number} port on 127.0.0.1, at first
 */
export function startLoad(rate, ask, port) {
  const agent = new Agent({ keepAlive: true, maxFreeSockets: 1_000 })
  /** @type {Answer[]} */
  const answers = []
  const began = performance.now()
  let sent = 0
  let to = port

  /** @param {number} due */
  const send = (due) => {
    const { method, path, body, headers } = ask(sent++)
    const text = body === undefined ? undefined : JSON.stringify(body)
    let open = true
    const ended = (/** @type {string | undefined} */ problem) => {
      if (!open) return
      open = false
      answers.push({
        due,
        milliseconds: performance.now() - due,
        ...(problem && { problem: `${method}: ${problem}` }),
      })
    }
    const asked = request(
      {
        host: "127.0.0.1",
        port: to,
        method,
        path,
        agent,
        signal: AbortSignal.timeout(longest),
        headers: {
          ...headers,
          ...(text !== undefined && {
            "content-type": "application/json",
            "content-length": Buffer.byteLength(text),
          }),
        },
      },
      (answer) => {
        answer
          .resume()
          .on("error", (error) => {
            ended(error.message)
          })
          .on("end", () => {
            const status = answer.statusCode ?? 0
            ended(status >= 200 && status < 300 ? undefined : `status ${status}`)
          })
      },
    )
    asked.on("error", (error) => {
      ended(error.name === "AbortError" ? `no answer for ${longest / 1000} s` : error.message)
    })
    asked.end(text)
  }

  const timer = setInterval(() => {
    for (
      let due = began + (sent * 1000) / rate;
      due <= performance.now();
      due = began + (sent * 1000) / rate
    ) {
      send(due)
    }
  }, 2)
  return {
    /** Sends to another port from now on. @param {number} port */
    turn: (port) => {
      to = port
    },
    /** Sends no more, and returns all answers when the last request is answered or has failed. */
    stop: async () => {
      clearInterval(timer)
      while (answers.length < sent) await sleep(20)
      agent.destroy()
      return answers
    },
  }
}

/**
 * What became of the requests that were due in a span of time.
 *
 * @param {Answer[]} answers @param {number} from @param {number} until
 */
export function summarise(answers, from, until) {
  const due = answers.filter((answer) => answer.due >= from && answer.due < until)
  const sorted = due.map(({ milliseconds }) => milliseconds).sort((one, other) => one - other)
  /** @param {number} share */
  const quantile = (share) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? NaN
  /** @type {Record<string, number>} */
  const problems = {}
  for (const { problem } of due) if (problem !== undefined) problems[problem] = (problems[problem] ?? 0) + 1
  return {
    sent: due.length,
    failed: Object.values(problems).reduce((sum, count) => sum + count, 0),
    problems,
    p50: quantile(0.5),
    p99: quantile(0.99),
    max: sorted.at(-1) ?? NaN,
  }
}
