import { describe, expect, it, vi } from "vitest"
import { retry } from "../../src/lib/retry.js"

const pause = () => Promise.resolve()

describe("retry", () => {
  it("runs a task that succeeds once", async () => {
    const task = vi.fn(() => Promise.resolve("done"))
    expect(await retry(task, { pause })).toBe("done")
    expect(task).toHaveBeenCalledTimes(1)
  })

  it("tries again after an error, and reports the reason each time", async () => {
    const task = vi
      .fn<() => Promise<string>>()
      .mockRejectedValueOnce(new Error("no route to host [traceparent:30cb55-0dc97e]\nstack"))
      .mockResolvedValueOnce("done")
    const onRetry = vi.fn()
    expect(await retry(task, { pause, onRetry })).toBe("done")
    expect(onRetry.mock.calls).toEqual([["no route to host"]])
  })

  it("reports the last line of a failed command", async () => {
    const command = Object.assign(new Error("exit code: 1"), {
      stderr: "WARNING: Retrying\nERROR: no network\n",
    })
    const task = vi.fn<() => Promise<string>>().mockRejectedValueOnce(command).mockResolvedValueOnce("done")
    const onRetry = vi.fn()
    await retry(task, { pause, onRetry })
    expect(onRetry.mock.calls).toEqual([["exit code: 1: ERROR: no network"]])
  })

  it("gives up after the third try, with the last reason", async () => {
    let tries = 0
    const waits: number[] = []
    const task = () => Promise.reject(new Error(`try ${++tries}`))
    const wait = (milliseconds: number) => {
      waits.push(milliseconds)
      return Promise.resolve()
    }
    await expect(retry(task, { pause: wait })).rejects.toThrow("try 3")
    expect(waits).toEqual([1_000, 5_000])
  })

  it("throws a final error at once", async () => {
    const task = vi.fn(() => Promise.reject(new TypeError("fault")))
    await expect(retry(task, { pause, unless: (error) => error instanceof TypeError })).rejects.toThrow(
      "fault",
    )
    expect(task).toHaveBeenCalledTimes(1)
  })

  it("waits as long as the given delays, and tells the task how often it was tried", async () => {
    const tries: number[] = []
    const waits: number[] = []
    const task = (tried: number) => {
      tries.push(tried)
      return Promise.reject(new Error("busy"))
    }
    const wait = (milliseconds: number) => {
      waits.push(milliseconds)
      return Promise.resolve()
    }
    await expect(retry(task, { delays: [20], pause: wait })).rejects.toThrow("busy")
    expect({ tries, waits }).toEqual({ tries: [0, 1], waits: [20] })
  })
})
