import { describe, expect, it, vi } from "vitest"
import { attempt } from "../../src/lib/retry.js"

const pause = () => Promise.resolve()

describe("attempt", () => {
  it("does once what succeeds", async () => {
    const task = vi.fn(() => Promise.resolve("done"))
    expect(await attempt(task, { pause })).toBe("done")
    expect(task).toHaveBeenCalledTimes(1)
  })

  it("tries trouble again, and says why each time", async () => {
    const task = vi
      .fn<() => Promise<string>>()
      .mockRejectedValueOnce(new Error("no route to host [traceparent:30cb55-0dc97e]\nstack"))
      .mockResolvedValueOnce("done")
    const onRetry = vi.fn()
    expect(await attempt(task, { pause, onRetry })).toBe("done")
    expect(onRetry.mock.calls).toEqual([["no route to host"]])
  })

  it("says of a command what it said last", async () => {
    const command = Object.assign(new Error("exit code: 1"), {
      stderr: "WARNING: Retrying\nERROR: no network\n",
    })
    const task = vi.fn<() => Promise<string>>().mockRejectedValueOnce(command).mockResolvedValueOnce("done")
    const onRetry = vi.fn()
    await attempt(task, { pause, onRetry })
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
    await expect(attempt(task, { pause: wait })).rejects.toThrow("try 3")
    expect(waits).toEqual([1_000, 5_000])
  })

  it("does not try again what another try would not change", async () => {
    const task = vi.fn(() => Promise.reject(new TypeError("fault")))
    await expect(attempt(task, { pause, unless: (error) => error instanceof TypeError })).rejects.toThrow(
      "fault",
    )
    expect(task).toHaveBeenCalledTimes(1)
  })
})
