import { randomUUID } from "node:crypto"
import type { Bucket } from "./bucket.js"
import type { Layout } from "./layout.js"
import type { PointerStore } from "./pointer.js"
import { jsonObject } from "./publish.js"

/** What is live, as an object of the bucket that is replaced by conditional writes. */
export class ObjectPointer implements PointerStore {
  private proved = false

  constructor(
    private readonly bucket: Bucket,
    private readonly layout: Layout,
  ) {}

  async read(): Promise<{ text?: string; version: string }> {
    const found = await this.bucket.text(this.layout.pointer)
    return found ?? { version: "" }
  }

  /** @throws Error for a store that ignores conditions */
  async write(text: string, version: string): Promise<boolean> {
    await this.prove()
    const { object, body } = jsonObject(this.layout.pointer, text)
    return this.bucket.put(object, body, version === "" ? { absent: true } : { version })
  }

  /** Some stores ignore the conditions silently, and two deploys would overwrite each other. */
  private async prove(): Promise<void> {
    if (this.proved) return
    const { probe } = this.layout
    const put = (condition?: Parameters<Bucket["put"]>[2]) => {
      const { object, body } = jsonObject(probe, JSON.stringify({ probe: randomUUID() }))
      return this.bucket.put(object, body, condition)
    }
    await put()
    const stale = (await this.bucket.text(probe))?.version ?? ""
    await put()
    const honoured = !(await put({ absent: true })) && !(await put({ version: stale }))
    await this.bucket.delete([probe])
    if (!honoured) {
      throw new Error(
        "the store of the bucket ignores the conditions of writes (If-Match, If-None-Match), so two deploys could overwrite each other; allowed: a store that keeps them, such as Amazon S3, or edge: { kind: key-value-store }",
      )
    }
    this.proved = true
  }
}
