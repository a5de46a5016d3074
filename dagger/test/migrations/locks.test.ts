import { expect, it } from "vitest"
import { blockedBy, blocksServices, lockModes, lockName, strongest } from "../../src/migrations/locks.js"

it("knows what services wait for", () => {
  expect(lockModes.map((mode) => [lockName(mode), blockedBy(mode)])).toEqual([
    ["ACCESS SHARE", "nothing"],
    ["ROW SHARE", "nothing"],
    ["ROW EXCLUSIVE", "nothing"],
    ["SHARE UPDATE EXCLUSIVE", "nothing"],
    ["SHARE", "writes"],
    ["SHARE ROW EXCLUSIVE", "writes"],
    ["EXCLUSIVE", "writes"],
    ["ACCESS EXCLUSIVE", "reads and writes"],
  ])
  expect(blocksServices("RowExclusiveLock")).toBe(false)
  expect(blocksServices("ShareLock")).toBe(true)
  expect(strongest(["ShareLock", "AccessExclusiveLock", "RowShareLock"])).toBe("AccessExclusiveLock")
  expect(strongest([])).toBeUndefined()
})

it("does not take a mode that it does not know for harmless", () => {
  expect(() => blockedBy("SomeLock")).toThrow(
    "PostgreSQL has no lock mode SomeLock; known: AccessShareLock, ",
  )
})
