import { describe, expect, it } from "vitest"
import { decide, removals, type Stored, verdictsText } from "../../src/images/reachability.js"

const day = 86_400_000
const now = Date.parse("2026-11-29T10:00:00Z")
const policy = { age: 30 * 86_400, now }
const digest = (letter: string) => `sha256:${letter.repeat(64)}`

/** An image whose manifests are named by letters, the first its own. */
const stored = (letters: string, more: Partial<Stored> = {}): Stored => {
  const own = letters.charAt(0)
  const tags = [`tag-${own}`]
  return {
    name: "api",
    digest: digest(own),
    tags,
    manifests: letters.split("").map((one) => ({ digest: digest(one), tags: one === own ? tags : [] })),
    images: [],
    at: now - 40 * day,
    ...more,
  }
}
const release = (letters: string, images: string, more: Partial<Stored> = {}) =>
  stored(letters, { name: "release", images: images.split("").map(digest), ...more })
const use = (letter: string, text = `revision of ${letter}`) => ({ digest: digest(letter), use: text })
const reasons = (all: Stored[], used: ReturnType<typeof use>[] = []) =>
  decide(all, used, policy).map(({ stays }) => stays)

describe("what stays in a registry", () => {
  it("is what an environment uses, whatever its age, by its index or by the image of a platform", () => {
    expect(reasons([stored("abc"), stored("def")], [use("a")])).toEqual(["revision of a", undefined])
    expect(reasons([stored("abc"), stored("def")], [use("e")])).toEqual([undefined, "revision of e"])
  })

  it("is what is young, and what nothing gives an age", () => {
    const undated = stored("d")
    delete undated.at
    expect(
      reasons([
        stored("a", { at: now - 29 * day }),
        stored("b", { at: now - 31 * day }),
        stored("c", { at: now + day }),
        undated,
      ]),
    ).toEqual(["29 days old", undefined, "0 days old", "nothing says how old it is"])
  })

  it("is every image of a release that stays, and every release with an image that is in use", () => {
    const all = [release("x", "ab"), release("y", "c"), stored("a"), stored("b"), stored("c")]
    expect(reasons(all, [use("a")])).toEqual([
      "revision of a",
      undefined,
      "revision of a",
      "an image of release:tag-x",
      undefined,
    ])
    const young = [release("x", "ab", { at: now }), stored("a"), stored("b"), stored("c")]
    expect(reasons(young).slice(1)).toEqual([
      "an image of release:tag-x",
      "an image of release:tag-x",
      undefined,
    ])
  })

  it("is nothing of what is incomplete, unless somebody uses it", () => {
    expect(reasons([stored("ab", { incomplete: true, at: now })])).toEqual([undefined])
    expect(reasons([stored("ab", { incomplete: true })], [use("a")])).toEqual(["revision of a"])
  })

  it("has the first reason of several", () => {
    expect(reasons([stored("a")], [use("a", "revision 7"), use("a", "the history")])).toEqual(["revision 7"])
  })
})

describe("what stays where a repository is never emptied", () => {
  const last = "the last"
  const kept = (all: Stored[], used: ReturnType<typeof use>[] = []) =>
    decide(all, used, { ...policy, last }).map(({ stays }) => stays)

  it("is the newest of each where nothing else with a tag does", () => {
    const older = now - 50 * day
    const all = [
      stored("a", { at: older }),
      stored("b"),
      stored("c", { at: older }),
      stored("d", { name: "web" }),
    ]
    expect(kept(all)).toEqual([undefined, last, undefined, last])
    expect(kept(all, [use("a"), use("d")])).toEqual(["revision of a", undefined, undefined, "revision of d"])
  })

  it("is not what has no tag, and rather what is whole", () => {
    const untagged = stored("a", { tags: [], manifests: [{ digest: digest("a"), tags: [] }] })
    expect(kept([untagged, stored("b")], [use("a")])).toEqual(["revision of a", last])
    expect(kept([stored("b", { incomplete: true }), stored("c", { at: now - 99 * day })])).toEqual([
      undefined,
      last,
    ])
  })

  it("has the images of a release that stays for that", () => {
    const all = [release("x", "a", { at: now - 41 * day }), release("y", "b"), stored("a"), stored("b")]
    expect(kept(all)).toEqual([undefined, last, undefined, "an image of release:tag-y"])
  })
})

describe("what is deleted", () => {
  it("comes before what it belongs to, and never belongs to something that stays", () => {
    // Both images have the same manifest c for one of their platforms.
    const verdicts = decide([stored("abc"), stored("dec")], [use("a")], policy)
    expect(removals(verdicts)).toEqual([
      { name: "api", of: digest("d"), digest: digest("e"), tags: [] },
      { name: "api", of: digest("d"), digest: digest("d"), tags: ["tag-d"] },
    ])
  })

  it("is deleted once, and for each repository by itself", () => {
    const verdicts = decide([stored("ac"), stored("bc"), stored("c", { name: "web" })], [], policy)
    expect(removals(verdicts).map(({ name, digest: one }) => `${name} ${one.slice(7, 8)}`)).toEqual([
      "api c",
      "api a",
      "api b",
      "web c",
    ])
    const kept = decide([stored("ac"), stored("c", { name: "web", at: now })], [], policy)
    expect(removals(kept).map(({ name }) => name)).toEqual(["api", "api"])
  })
})

it("a table says of each what becomes of it and why", () => {
  const verdicts = decide(
    [stored("ab"), stored("cd")],
    [use("a", "revision 7 of backend api in staging")],
    policy,
  )
  expect(verdictsText(verdicts, { done: false }).split("\n")).toEqual([
    expect.stringMatching(/^IMAGE +DIGEST +WHY$/),
    expect.stringMatching(/^api:tag-a +sha256:aaaaaaaaaaaa +stays +revision 7 of backend api in staging$/),
    expect.stringMatching(/^api:tag-c +sha256:cccccccccccc +goes +not in use, 2 manifests$/),
    "1 of 2 would go. Nothing is removed yet.",
  ])
  expect(verdictsText(verdicts, { done: true })).toContain("Removed 1 of 2.")
})
