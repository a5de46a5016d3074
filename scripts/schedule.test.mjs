import { afterEach, beforeEach, expect, it, vi } from "vitest"
import { nextJob, runJobs, span } from "./schedule.mjs"

/**
 * Jobs that run until `end` is called with their name.
 * @param {{ name: string, alone?: boolean, after?: string[] }[]} plan
 */
function controlled(plan) {
  /** @type {Map<string, () => void>} */
  const running = new Map()
  const jobs = plan.map((job) => ({
    ...job,
    run: () =>
      new Promise((/** @type {(name: string) => void} */ resolve) => {
        running.set(job.name, () => {
          running.delete(job.name)
          resolve(job.name)
        })
      }),
  }))
  const end = async (/** @type {string} */ name) => {
    running.get(name)?.()
    await vi.advanceTimersByTimeAsync(0)
  }
  return { jobs, end, running: () => [...running.keys()].sort() }
}

const how = { atOnce: 2, seconds: 30, progress: () => undefined }

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

it("runs two at a time, in their order, and those alone at the end", async () => {
  const { jobs, end, running } = controlled([
    { name: "measures", alone: true },
    { name: "a" },
    { name: "b" },
    { name: "c" },
    { name: "compares", alone: true },
  ])
  const all = runJobs(jobs, how)
  expect(running()).toEqual(["a", "b"])
  await end("b")
  expect(running()).toEqual(["a", "c"])
  await end("a")
  expect(running()).toEqual(["c"])
  await end("c")
  expect(running()).toEqual(["measures"])
  await end("measures")
  expect(running()).toEqual(["compares"])
  await end("compares")
  expect(await all).toEqual(["measures", "a", "b", "c", "compares"])
})

it("holds a job back until those have ended that it comes after", async () => {
  const { jobs, end, running } = controlled([
    { name: "first" },
    { name: "later", after: ["first", "not chosen"] },
    { name: "other" },
    { name: "more" },
  ])
  const all = runJobs(jobs, how)
  expect(running()).toEqual(["first", "other"])
  await end("other")
  expect(running()).toEqual(["first", "more"])
  await end("first")
  expect(running()).toEqual(["later", "more"])
  await end("later")
  await end("more")
  await all
})

it("starts no job alone while another could still run beside others", () => {
  /** @type {{ name: string, alone?: boolean, after?: string[] }[]} */
  const waiting = [
    { name: "alone", alone: true },
    { name: "held", after: ["busy"] },
  ]
  expect(nextJob(waiting, [{ name: "busy" }], 2)).toBeUndefined()
  expect(nextJob(waiting.slice(0, 1), [], 2)?.name).toBe("alone")
})

it("says every 30 seconds what runs, and since when", async () => {
  const { jobs, end } = controlled([{ name: "a" }, { name: "b" }])
  const began = Date.now()
  /** @type {string[]} */
  const said = []
  const all = runJobs(jobs, {
    ...how,
    progress: (running) =>
      said.push(running.map(({ name, since }) => `${name} ${span(since - began)}`).join()),
  })
  await vi.advanceTimersByTimeAsync(30_000)
  await end("a")
  await vi.advanceTimersByTimeAsync(30_000)
  await end("b")
  await all
  await vi.advanceTimersByTimeAsync(60_000)
  expect(said).toEqual(["a 0 s,b 0 s", "b 0 s"])
})

it("does not wait for ever where jobs wait for each other", async () => {
  const { jobs } = controlled([
    { name: "a", after: ["b"] },
    { name: "b", after: ["a"] },
  ])
  await expect(runJobs(jobs, how)).rejects.toThrow("these suites wait for each other: a, b")
})

it.each([
  [400, "0 s"],
  [59_000, "59 s"],
  [60_000, "1 min 0 s"],
  [275_000, "4 min 35 s"],
])("says %i ms as %s", (milliseconds, text) => {
  expect(span(milliseconds)).toBe(text)
})
