import { CacheSharingMode, type Container, dag, ExecError, type File } from "@dagger.io/dagger"
import { images } from "../../platform/base-images.js"
import type { Event, Sink } from "./event.js"

const folder = "/events"
const path = `${folder}/events.jsonl`

// Whoever wrote half a line will not come back to end it.
const append = `touch ${path}; [ -z "$(tail -c 1 ${path})" ] || echo >> ${path}; cat /event >> ${path}`

/**
 * A file of JSON Lines that only grows, one for each environment, in a volume of the engine: a module has no file of the machine to write to. What runs on one engine
 * shares it, and writes one after another. A reader passes over blank lines and over a line that a writer died in.
 */
export class EventFile implements Sink {
  readonly name = "the file of events"

  constructor(private readonly environment: string) {}

  async send(event: Event): Promise<void> {
    try {
      await this.container()
        .withNewFile("/event", `${JSON.stringify(event)}\n`)
        .withExec(["sh", "-ec", append])
        .sync()
    } catch (error) {
      throw error instanceof ExecError ? new Error(error.stderr) : error
    }
  }

  /** All that was sent until now, oldest first. */
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
