import { dag } from "@dagger.io/dagger"
import { expect, it } from "vitest"
import { loadGatesOf } from "../../src/api/gates.js"

it.each([
  [0, "60s", "0 users are no load; allowed: 1 and more"],
  [5, "60", '"60" is not a duration'],
])("refuses a load of %d users for %s", (users, seconds, message) => {
  expect(() => loadGatesOf(dag.directory(), "", users, seconds)).toThrow(message)
})
