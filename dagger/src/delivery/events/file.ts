import { CacheSharingMode, type Container, dag, ExecError, type File } from "@dagger.io/dagger"
import { images } from "../../platform/base-images.js"
import type { Notification, Sink } from "./event.js"

const folder = "/events"
const path = `${folder}/events.jsonl`

// A writer that died may have left half a line, so the file is brought to a line's end first.
const append = `touch ${path}; [ -z "$(tail -c 1 ${path})" ] || echo >> ${path}; cat /event >> ${path}`

/**
 * A file of JSON Lines per environment, in a cache volume of the engine: a module cannot write to the user's disk while it runs. All commands on one engine append to it,
 * one after another. Readers skip blank and incomplete lines.
 */
export class EventFile implements Sink {
  readonly name = "the event file"

  constructor(private readonly environment: string) {}

  async send(event: Notification): Promise<void> {
    try {
      await this.container()
        .withNewFile("/event", `${JSON.stringify(event)}\n`)
        .withExec(["sh", "-ec", append])
        .sync()
    } catch (error) {
      throw error instanceof ExecError ? new Error(error.stderr) : error
    }
  }

  /** All events so far, oldest first. */
  file(): File {
    return this.container()
      .withExec(["sh", "-ec", `touch ${path}; cp ${path} /events.jsonl`])
      .file("/events.jsonl")
  }

  private container(): Container {
    return dag
      .container()
      .from(images.debian)
      .withMountedCache(folder, dag.cacheVolume(`events-${this.environment}`), {
        sharing: CacheSharingMode.Locked,
      })
      .withEnvVariable("NOW", `${Date.now()}-${Math.random()}`)
  }
}
