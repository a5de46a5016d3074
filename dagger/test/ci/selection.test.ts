import { describe, expect, it } from "vitest"
import { gateNamed, inGroups, withNeeds } from "../../src/ci/gates/selection.js"

const gates = [
  { name: "web:browser", needs: ["web:smoke"] },
  { name: "web:smoke", needs: ["api:smoke"] },
  { name: "api:smoke" },
  { name: "module:lint" },
]
const names = (selected: { name: string }[]) => selected.map(({ name }) => name)

describe("inGroups", () => {
  it("selects the gates of groups, or all", () => {
    expect(names(inGroups(gates, ["web"]))).toEqual(["web:browser", "web:smoke"])
    expect(inGroups(gates, [])).toEqual(gates)
  })

  it.each([
    [["wep"], 'there are no gates for "wep"; allowed: web, api, module'],
    [["web", "nope", ""], 'there are no gates for "nope", ""; allowed: web, api, module'],
    [["web:browser"], 'there are no gates for "web:browser"; allowed: web, api, module'],
    [["constructor"], 'there are no gates for "constructor"; allowed: web, api, module'],
  ])("rejects %j, and lists what is allowed", (groups, message) => {
    expect(() => inGroups(gates, groups)).toThrow(message)
  })
})

describe("gateNamed", () => {
  it("rejects an unknown gate, and lists the gates", () => {
    expect(gateNamed(gates, "module:lint")).toEqual({ name: "module:lint" })
    expect(() => gateNamed(gates, "web:typo")).toThrow(
      'there is no gate "web:typo"; allowed: web:browser, web:smoke, api:smoke, module:lint',
    )
  })
})

describe("withNeeds", () => {
  it("adds what gates need, and what that needs, in the order of the gates", () => {
    expect(names(withNeeds(gates, ["web:browser"]))).toEqual(["web:browser", "web:smoke", "api:smoke"])
  })
})
