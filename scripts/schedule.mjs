// Which suite runs when.

/**
 * @template Result
 * @typedef {{ name: string, alone?: boolean, after?: string[], run: () => Promise<Result> }} Job
 *   Nothing runs beside a job that is `alone`. `after` are names of jobs that end first; a name that no job has is ignored.
 */

/**
 * The job to start now. Jobs that run alone wait for all others.
 *
 * @template {{ name: string, alone?: boolean, after?: string[] }} Any
 * @param {Any[]} waiting
 * @param {Any[]} running
 * @param {number} atOnce the most jobs that run at the same time
 * @returns {Any | undefined}
 */
export function nextJob(waiting, running, atOnce) {
  if (running.length >= atOnce) return undefined
  const unfinished = new Set([...waiting, ...running].map(({ name }) => name))
  const ready = waiting.filter(({ after = [] }) => !after.some((name) => unfinished.has(name)))
  const beside = ready.find(({ alone }) => !alone)
  if (beside || running.length > 0 || waiting.some(({ alone }) => !alone)) return beside
  return ready[0]
}

/**
 * Runs every job, in the given order as far as the limits allow.
 *
 * @template Result
 * @param {Job<Result>[]} jobs
 * @param {{ atOnce: number, seconds: number, progress: (running: { name: string, since: number }[]) => void }} how
 *   `progress` is called every so many `seconds`; `since` is in milliseconds since 1970
 * @returns {Promise<Result[]>} in the order of the jobs
 * @throws Error if jobs wait for each other
 */
export async function runJobs(jobs, { atOnce, seconds, progress }) {
  const waiting = [...jobs]
  /** @type {Map<Job<Result>, { since: number, ended: Promise<void> }>} */
  const running = new Map()
  /** @type {Map<Job<Result>, Result>} */
  const results = new Map()
  const timer = setInterval(() => {
    progress([...running].map(([{ name }, { since }]) => ({ name, since })))
  }, seconds * 1000)
  try {
    while (waiting.length + running.size > 0) {
      for (let job; (job = nextJob(waiting, [...running.keys()], atOnce));) {
        const started = job
        waiting.splice(waiting.indexOf(job), 1)
        const ended = job.run().then((result) => {
          running.delete(started)
          results.set(started, result)
        })
        running.set(job, { since: Date.now(), ended })
      }
      if (running.size === 0) {
        throw new Error(`these suites wait for each other: ${waiting.map(({ name }) => name).join(", ")}`)
      }
      await Promise.race([...running.values()].map(({ ended }) => ended))
    }
  } finally {
    clearInterval(timer)
  }
  return jobs.flatMap((job) => results.get(job) ?? [])
}

/**
 * A time span as people read it.
 * @param {number} milliseconds
 */
export function span(milliseconds) {
  const seconds = Math.round(milliseconds / 1000)
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`
}
