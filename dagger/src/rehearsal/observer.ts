import type { DeployedService } from "../backends/deployed-service.js"
import { trafficSplit, type Rollout } from "../backends/rollout/rollout.js"
import { monotonic } from "../lib/clock.js"
import type { Moment } from "./faults.js"
import { appendChange, type PhaseChange } from "./measurements/phase-change.js"

/** Milliseconds between two reads of the rollout. */
const interval = 300
/** Seconds to wait for a phase. */
const limit = 120

const exposed: string[] = ["shifting", "promoting"] satisfies Rollout["phase"][]

/** Watches a rollout from outside, without taking part in it. */
export class RolloutObserver {
  private readonly changes: PhaseChange[] = []
  private stopped = false
  private readonly watching: Promise<void>

  /** @param previous the id of the rollout before, which does not count */
  constructor(
    private readonly deployed: DeployedService,
    private readonly previous: string | undefined,
  ) {
    this.watching = this.watch()
  }

  /**
   * Waits until the rollout reaches a moment, or ends.
   *
   * @throws Error with its phase if it reaches neither in time
   */
  async until(moment: Moment | "aborting"): Promise<void> {
    const reached = ({ phase }: PhaseChange) =>
      phase === moment ||
      (moment === "exposed" && exposed.includes(phase)) ||
      ["promoted", "aborted"].includes(phase)
    for (let left = (limit * 1000) / interval; left > 0; left--) {
      if (this.changes.some(reached)) return
      await monotonic.pause(interval)
    }
    const phase = this.changes.at(-1)?.phase ?? "not begun"
    throw new Error(`the rollout was not ${moment} within ${limit} s: it is ${phase}`)
  }

  /** Stops watching, and returns all changes. */
  async stop(): Promise<PhaseChange[]> {
    this.stopped = true
    await this.watching
    return this.changes
  }

  private async watch(): Promise<void> {
    while (!this.stopped) {
      this.add(await this.deployed.record.read())
      await monotonic.pause(interval)
    }
    this.add(await this.deployed.record.read())
  }

  private add(rollout: Rollout | undefined): void {
    if (!rollout || rollout.id === this.previous) return
    const { phase, revision } = rollout
    const candidate = trafficSplit(rollout, this.deployed.rolloutSettings).find(
      (backend) => backend.revision === revision && !backend.baseline,
    )
    appendChange(this.changes, { phase, weight: candidate?.weight ?? 0 })
  }
}
