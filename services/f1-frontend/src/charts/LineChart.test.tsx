import { fireEvent, render, screen } from "@testing-library/react"
import { describe, expect, it } from "vitest"
import { withBackend } from "../testing/app.tsx"
import { LineChart, type Line } from "./LineChart.tsx"

withBackend()

const line = (id: string, emphasis: boolean, ...values: number[]): Line => ({
  id,
  label: id.toUpperCase(),
  color: "red",
  emphasis,
  points: values.map((y, x) => ({ x, y })),
})

function show(lines: Line[]) {
  render(
    <LineChart
      lines={lines}
      steps={["Round 1", "Round 2", "Round 3"]}
      ticks={[]}
      sliderLabel="Round to read"
    />,
  )
  return screen.getByRole<HTMLInputElement>("slider", { name: "Round to read" })
}

describe("a line chart", () => {
  it("reads the last step, highest first, and leaves the context out", () => {
    const slider = show([line("a", true, 1, 2, 3), line("b", true, 9, 8, 7), line("c", false, 5, 5, 5)])
    expect(slider).toHaveAttribute("aria-valuetext", "Round 3, B 7, A 3")
  })

  it("follows the slider", () => {
    const slider = show([line("a", true, 1, 2, 3), line("b", true, 9, 8)])
    fireEvent.change(slider, { target: { value: "1" } })
    expect(slider).toHaveAttribute("aria-valuetext", "Round 2, B 8, A 2")
    expect(screen.getByText("Round 2")).toBeVisible()
  })

  it("leaves out who has no value at a step", () => {
    expect(show([line("a", true, 1, 2, 3), line("b", true, 9, 8)])).toHaveAttribute(
      "aria-valuetext",
      "Round 3, A 3",
    )
  })

  it("follows the pointer, and stays inside", () => {
    const slider = show([line("a", true, 1, 2, 3)])
    slider.getBoundingClientRect = () => new DOMRect(100, 0, 200, 50)
    fireEvent.pointerMove(slider, { clientX: 190 })
    expect(slider.value).toBe("1")
    fireEvent.pointerMove(slider, { clientX: 20 })
    expect(slider.value).toBe("0")
    fireEvent.pointerMove(slider, { clientX: 900 })
    expect(slider.value).toBe("2")
  })

  it("does not move while it has no size", () => {
    const slider = show([line("a", true, 1, 2, 3)])
    fireEvent.pointerMove(slider, { clientX: 190 })
    expect(slider.value).toBe("0")
  })

  it("names lines at their ends, but not a line that is alone", () => {
    const { container } = render(
      <LineChart lines={[line("a", true, 1, 2, 3)]} steps={["1", "2", "3"]} ticks={[]} sliderLabel="s" />,
    )
    expect(container.querySelectorAll(".line-name")).toHaveLength(0)
    show([line("a", true, 1, 2, 3), { ...line("b", true, 3, 2, 1), dashed: true }])
    expect([...document.querySelectorAll(".line-name")].map((name) => name.textContent)).toEqual(["A", "B"])
    expect(document.querySelectorAll("[stroke-dasharray]")).toHaveLength(1)
  })
})
