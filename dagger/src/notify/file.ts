import { mkdir, open } from "node:fs/promises"
import { dirname } from "node:path"
import type { Event, Sink } from "./event.js"

const newline = "\n".charCodeAt(0)

/**
 * A file of JSON Lines that only grows. Each event is one write at the end of the file, so lines of several writers do not mix on a local file system.
 * A reader passes over blank lines and over a line that a writer died in.
 */
export class FileSink implements Sink {
  readonly name: string

  constructor(private readonly path: string) {
    this.name = `file ${path}`
  }

  async send(event: Event): Promise<void> {
    await mkdir(dirname(this.path), { recursive: true })
    const file = await open(this.path, "a+")
    try {
      const { size } = await file.stat()
      const last = Buffer.from("\n")
      if (size > 0) await file.read(last, 0, 1, size - 1)
      // Whoever wrote half a line will not come back to end it.
      const line = Buffer.from(`${last[0] === newline ? "" : "\n"}${JSON.stringify(event)}\n`)
      const { bytesWritten } = await file.write(line)
      if (bytesWritten < line.length) {
        throw new Error(`only ${bytesWritten} of ${line.length} bytes could be written`)
      }
    } finally {
      await file.close()
    }
  }
}
