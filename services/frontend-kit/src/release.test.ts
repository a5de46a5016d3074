import { expect, test } from "vitest"
import { describeRelease } from "../config/release.ts"

const release = { app: "web", backend: "api", flags: { sharing: "shares", printView: "prints" } }
const contract = new TextEncoder().encode('{"openapi":"3.1.0"}\n')

test("says which app it is, the backend and its contract, and the flags", () => {
  expect(describeRelease(release, contract)).toBe(`{
  "app": "web",
  "backend": "api",
  "contract": "7927cf5b451b44fb947646f0e189a8b41ed29b043923cf030c42d00da8a3b072",
  "flags": [
    "printView",
    "sharing"
  ]
}
`)
})

test("another contract is another release, and the order of flags is not", () => {
  const { sharing, printView } = release.flags
  expect(describeRelease({ ...release, flags: { printView, sharing } }, contract)).toBe(
    describeRelease(release, contract),
  )
  expect(describeRelease(release, new Uint8Array())).not.toBe(describeRelease(release, contract))
})
