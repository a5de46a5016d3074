import { render, screen } from "@testing-library/react"
import { userEvent } from "@testing-library/user-event"
import { describe, expect, it } from "vitest"
import { DataTable } from "./DataTable.tsx"

interface Row {
  name: string
  points: number | null
}

const rows: Row[] = [
  { name: "Beta", points: 5 },
  { name: "alpha", points: null },
  { name: "Gamma", points: 12 },
]

function show() {
  render(
    <DataTable
      caption="Points"
      rows={rows}
      rowKey={(row) => row.name}
      columns={[
        { id: "name", header: "Name", cell: (row) => row.name, sort: (row) => row.name },
        {
          id: "points",
          header: "Points",
          numeric: true,
          cell: (row) => row.points ?? "–",
          sort: (row) => row.points,
        },
        { id: "note", header: "Note", minor: true, cell: () => "" },
      ]}
    />,
  )
  return () => screen.getAllByRole("rowheader").map((cell) => cell.textContent)
}

const header = (name: string) => screen.getByRole("columnheader", { name: new RegExp(`^${name}`) })

describe("a data table", () => {
  it("has a name, and keeps the order given until asked", () => {
    expect(show()()).toEqual(["Beta", "alpha", "Gamma"])
    expect(screen.getByRole("table", { name: "Points" })).toBeInTheDocument()
    expect(header("Name")).not.toHaveAttribute("aria-sort")
  })

  it("sorts names up first, then down", async () => {
    const names = show()
    await userEvent.click(screen.getByRole("button", { name: /Name/ }))
    expect(names()).toEqual(["alpha", "Beta", "Gamma"])
    expect(header("Name")).toHaveAttribute("aria-sort", "ascending")
    await userEvent.click(screen.getByRole("button", { name: /Name/ }))
    expect(names()).toEqual(["Gamma", "Beta", "alpha"])
  })

  it("sorts numbers from high to low first, by keyboard, with the missing ones last either way", async () => {
    const names = show()
    await userEvent.tab()
    await userEvent.tab()
    await userEvent.tab()
    await userEvent.keyboard("{Enter}")
    expect(names()).toEqual(["Gamma", "Beta", "alpha"])
    expect(header("Points")).toHaveAttribute("aria-sort", "descending")
    await userEvent.keyboard("{Enter}")
    expect(names()).toEqual(["Beta", "Gamma", "alpha"])
    expect(header("Points")).toHaveAttribute("aria-sort", "ascending")
  })

  it("offers no sorting where there is none", () => {
    show()
    expect(screen.queryByRole("button", { name: /Note/ })).toBeNull()
  })
})
