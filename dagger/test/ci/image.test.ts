import { expect, it } from "vitest"
import { isRoot } from "../../src/ci/gates/image.js"

it.each(["", "root", "0", "0:0", "root:101", ":101", "00"])(
  "an image of the user %j runs as root",
  (user) => {
    expect(isRoot(user)).toBe(true)
  },
)

it.each(["10001:10001", "101", "nginx", "rooted", "10", "nobody:root"])(
  "an image of the user %j does not",
  (user) => {
    expect(isRoot(user)).toBe(false)
  },
)
