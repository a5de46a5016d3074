import { render, screen } from "@testing-library/react"
import { userEvent } from "@testing-library/user-event"
import { describe, expect, it, vi } from "vitest"
import { FlagsContext } from "../useFlag.ts"
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

describe("Download CSV", () => {
  const cells = [
    { name: 'Ann "Flash" Gordon', team: "Red, Blue" },
    { name: "Béa", team: "Über" },
  ]

  function showCells(tableDownload: boolean) {
    render(
      <FlagsContext value={{ tableDownload }}>
        <DataTable
          caption="Drivers of 2031"
          rows={cells}
          rowKey={(row) => row.name}
          columns={[
            { id: "name", header: "Name", cell: (row) => <b>{row.name}</b>, sort: (row) => row.name },
            { id: "team", header: "Team", cell: (row) => row.team },
          ]}
        />
      </FlagsContext>,
    )
  }

  it("is not there unless the flag is on", () => {
    showCells(false)
    expect(screen.queryByRole("button", { name: /Download/ })).toBeNull()
  })

  it("saves what is shown, in the order chosen", async () => {
    const saved: { file: Blob; name: string }[] = []
    const files = new Map<string, Blob>()
    vi.stubGlobal(
      "URL",
      class extends URL {
        static override createObjectURL(file: Blob) {
          files.set(`blob:${files.size}`, file)
          return `blob:${files.size - 1}`
        }
        static override revokeObjectURL(url: string) {
          files.delete(url)
        }
      },
    )
    vi.spyOn(HTMLAnchorElement.prototype, "click").mockImplementation(function (this: HTMLAnchorElement) {
      const file = files.get(this.href)
      if (file) saved.push({ file, name: this.download })
    })
    showCells(true)
    await userEvent.click(screen.getByRole("button", { name: /^Name/ }))
    await userEvent.click(screen.getByRole("button", { name: /^Name/ }))
    await userEvent.click(screen.getByRole("button", { name: "Download Drivers of 2031 as CSV" }))
    expect(saved.map(({ name }) => name)).toEqual(["drivers-of-2031.csv"])
    const bytes = new Uint8Array((await saved[0]?.file.arrayBuffer()) ?? [])
    expect([...bytes.slice(0, 3)]).toEqual([0xef, 0xbb, 0xbf])
    expect(new TextDecoder().decode(bytes)).toBe(
      'Name,Team\r\nBéa,Über\r\n"Ann ""Flash"" Gordon","Red, Blue"\r\n',
    )
    await vi.waitFor(() => {
      expect(files.size).toBe(0)
    })
  })
})
