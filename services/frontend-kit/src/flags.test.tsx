import { render, screen } from "@testing-library/react"
import { expect, test } from "vitest"
import { createFlags } from "./flags.ts"

const { FlagsContext, useFlag } = createFlags({ printView: "prints", sharing: "shares" })

function Shown() {
  return <p>{`${useFlag("printView")} ${useFlag("sharing")}`}</p>
}

test("flags are off without a configuration", () => {
  render(<Shown />)
  expect(screen.getByText("false false")).toBeVisible()
})

test("flags are as configured", () => {
  render(
    <FlagsContext value={{ printView: false, sharing: true }}>
      <Shown />
    </FlagsContext>,
  )
  expect(screen.getByText("false true")).toBeVisible()
})
