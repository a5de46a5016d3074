// The value that says what is live: races for it, and what it may hold.
import { describe, expect, it } from "vitest"
import { promoted, withCanary, withoutCanary } from "../../src/frontends/decisions.js"
import { ObjectPointer } from "../../src/frontends/object-pointer.js"
import { layoutOf } from "../../src/frontends/layout.js"
import { longestValue } from "../../src/frontends/edge-value.js"
import { parsePointer, pointerText, readPointer, switchPointer } from "../../src/frontends/pointer.js"
import { pathsOf } from "../../src/frontends/invalidation.js"
import { FakeClock } from "../lib/fake-clock.js"
import { MemoryBucket } from "./fixtures.js"
import { MemoryPointers } from "./platform.js"

const variant = (revision: number) => ({
  release: String(revision % 10).repeat(40),
  config: "f".repeat(40),
  revision,
})
const writer = (minute: number) => ({ operation: `o${minute}`, since: `2026-03-02T10:0${minute}:00.000Z` })
const clock = new FakeClock()
const switchTo = (store: MemoryPointers | ObjectPointer, revision: number, minute = revision) =>
  clock.until(switchPointer(store, writer(minute), (now) => promoted(now, variant(revision)), clock))

describe("a pointer", () => {
  it("fits into the store with everything that it can hold", () => {
    const full = {
      live: variant(1e9),
      previous: variant(1e9 - 1),
      canary: { ...variant(1e9 + 1), percent: 99 },
      ...writer(1),
    }
    expect(pointerText(full).length).toBeLessThan(longestValue)
    expect(parsePointer(pointerText(full))).toEqual(full)
  })

  it.each(["", "{", "{}", JSON.stringify({ live: { release: "../x", config: "y", revision: 1 } })])(
    "that is %j is refused",
    (text) => {
      expect(() => parsePointer(text)).toThrow(/malformed, or was written by a newer version/)
    },
  )

  it("remembers what was live before, also when the same switch is made twice", async () => {
    const store = new MemoryPointers()
    await switchTo(store, 1)
    await switchTo(store, 2)
    await switchTo(store, 2)
    expect(store.pointer).toMatchObject({ live: { revision: 2 }, previous: { revision: 1 } })
    expect(store.version).toBe(3)
  })

  it("keeps what is live beside a canary, and without it again", () => {
    const now = { live: variant(2), previous: variant(1), ...writer(2) }
    const both = withCanary(now, variant(3), 10)
    expect(both).toEqual({ live: variant(2), previous: variant(1), canary: { ...variant(3), percent: 10 } })
    expect(withoutCanary({ ...both, ...writer(3) })).toEqual({ live: variant(2), previous: variant(1) })
    expect(() => withCanary(undefined, variant(3), 10)).toThrow(/nothing is live yet/)
  })
})

describe("a race", () => {
  it("that was lost to another app in the same store is run again", async () => {
    const store = new MemoryPointers()
    let others = 2
    store.before = () => {
      if (others-- > 0) store.version++
    }
    await switchTo(store, 1)
    expect(store.pointer?.live.revision).toBe(1)
  })

  it("that others keep winning ends", async () => {
    const store = new MemoryPointers()
    store.before = () => {
      store.version++
    }
    await expect(switchTo(store, 1)).rejects.toThrow(/was changed by others 6 times/)
    expect(store.pointer).toBeUndefined()
  })

  it("of an older command with a newer one is given up", async () => {
    const store = new MemoryPointers()
    await switchTo(store, 5)
    await expect(switchTo(store, 4)).rejects.toThrow(
      /revision 5 was made live by the newer command o5, so this one gives way/,
    )
    expect(store.pointer?.live.revision).toBe(5)
  })

  it("of two commands has one winner", async () => {
    const store = new MemoryPointers()
    await switchTo(store, 1)
    const ends = await Promise.allSettled([switchTo(store, 2), switchTo(store, 3)])
    expect(ends[1].status).toBe("fulfilled")
    expect(store.pointer?.live.revision).toBe(3)
  })
})

describe("a store", () => {
  it("that takes a value and does not hold it is found out", async () => {
    const store = new MemoryPointers()
    store.forgetful = true
    await expect(switchTo(store, 1)).rejects.toThrow(/took the new value and does not hold it/)
  })

  it("of objects is used only if it keeps the conditions of writes", async () => {
    const layout = layoutOf({ prefix: undefined, app: "web" })
    const bucket = new MemoryBucket()
    const pointer = new ObjectPointer(bucket, layout)
    await switchTo(pointer, 1)
    await switchTo(pointer, 2)
    expect((await readPointer(pointer))?.live.revision).toBe(2)
    expect(bucket.objects.has(layout.probe)).toBe(false)
    const careless = new MemoryBucket()
    careless.conditional = false
    await expect(switchTo(new ObjectPointer(careless, layout), 1)).rejects.toThrow(
      /ignores the conditions of writes/,
    )
  })
})

describe("an invalidation", () => {
  const many = (count: number, suffix: string) => Array.from({ length: count }, (_, at) => `/${at}${suffix}`)

  it("names each path once, or everything where there are more than CloudFront takes", () => {
    expect(pathsOf(["/b", "/a", "/b"])).toEqual(["/a", "/b"])
    expect(pathsOf(many(3_000, ""))).toHaveLength(3_000)
    expect(pathsOf(many(3_001, ""))).toEqual(["/*"])
    expect(pathsOf(many(15, "/*"))).toHaveLength(15)
    expect(pathsOf(many(16, "/*"))).toEqual(["/*"])
  })
})
