import { screen, within } from "@testing-library/react"
import { userEvent } from "@testing-library/user-event"
import { describe, expect, it } from "vitest"
import { answer, open, watchRequests, withBackend } from "../testing/app.tsx"
import { driver, raceSummary, team } from "../testing/fixtures.ts"

withBackend()

const rowNames = (table: HTMLElement) =>
  within(table)
    .getAllByRole("rowheader")
    .map((cell) => cell.textContent)

describe("drivers", () => {
  it("stand in the order of the standings, and sort by every column", async () => {
    open("/drivers")
    expect(
      await screen.findByRole("heading", { level: 1, name: "de Vos has the highest rating" }),
    ).toBeInTheDocument()
    const table = screen.getByRole("table")
    expect(rowNames(table)).toEqual(["Ada Swift", "Ben de Vos", "Cleo Marsh", "Dan Okoro"])
    expect(
      within(table).getByRole("row", { name: "Ben de Vos Borealis 2 25.5 1 1 1,840 \u221212" }),
    ).toBeInTheDocument()
    expect(within(table).getByRole("row", { name: "Dan Okoro – 4 0 0 0 1,390 \u221230" })).toBeInTheDocument()
    for (const name of [/Driver/, /Constructor/, /Place/, /Points/, /Wins/, /Podiums/, /Change/, /ELO/]) {
      await userEvent.click(within(table).getByRole("button", { name }))
    }
    expect(rowNames(table)).toEqual(["Ben de Vos", "Ada Swift", "Cleo Marsh", "Dan Okoro"])
  })

  it("are those of the last season begun, unless another is asked for", async () => {
    const requests = watchRequests()
    const upcoming = { status: "upcoming", winner: null, hit: null } as const
    answer("/api/f1/races", [raceSummary(1, upcoming), raceSummary(2, upcoming)])
    open("/drivers")
    expect(await screen.findByText("Drivers of 2030")).toBeVisible()
    await userEvent.selectOptions(screen.getByLabelText("Season"), "2031")
    expect(await screen.findByText("Drivers of 2031")).toBeVisible()
    expect(requests.filter((address) => address.includes("/drivers"))).toEqual([
      "/api/f1/drivers?season=2030",
      "/api/f1/drivers?season=2031",
    ])
  })

  it("are those of the only season there is, begun or not", async () => {
    answer("/api/f1/seasons", [2031])
    answer("/api/f1/races", [raceSummary(1, { status: "upcoming" })])
    open("/drivers")
    expect(await screen.findByText("Drivers of 2031")).toBeVisible()
  })

  it("of a season without races are none", async () => {
    answer("/api/f1/drivers", [])
    open("/drivers?season=2031")
    expect(
      await screen.findByRole("heading", { level: 1, name: "Nobody has raced in 2031 yet" }),
    ).toBeVisible()
  })
})

describe("a driver", () => {
  it("has figures, ELO over the years and a season's results", async () => {
    open("/drivers/ada-swift")
    expect(await screen.findByRole("heading", { level: 1, name: "Ada Swift" })).toBeInTheDocument()
    expect(screen.getByText("+42 in 2031")).toBeVisible()
    expect(screen.getByText("1 in all")).toBeVisible()
    const chart = screen.getByRole("figure", { name: "ELO over the years" })
    expect(within(chart).getByText(/started at 1,500, was highest at 1,900 in 2030/)).toBeInTheDocument()
    expect(within(chart).getByRole("slider")).toHaveAttribute(
      "aria-valuetext",
      "2031 Forest Grand Prix, Ada Swift 1,812",
    )
    const table = screen.getByRole("table", { name: "Results of Ada Swift" })
    expect(
      within(table).getByRole("row", { name: "Harbour Grand Prix 1 Mar 3 3 25 42%" }),
    ).toBeInTheDocument()
    expect(
      within(table).getByRole("row", { name: "Forest Grand Prix 2 Mar – DNF 25 42%" }),
    ).toBeInTheDocument()
    for (const name of [/Grid/, /Date/, /Points/, /Chance/, /Result/]) {
      await userEvent.click(within(table).getByRole("button", { name }))
    }
    expect(rowNames(table).at(-1)).toBe("Forest Grand Prix")
  })

  it("shows another season on demand, where no chance was stored", async () => {
    open("/drivers/ada-swift")
    await userEvent.selectOptions(await screen.findByLabelText("Season"), "2030")
    expect(
      within(screen.getByRole("table")).getByRole("row", { name: "Harbour Grand Prix 1 Mar 1 1 25 –" }),
    ).toBeInTheDocument()
  })

  it("shows ratings as a table too", async () => {
    open("/drivers/ada-swift")
    const chart = await screen.findByRole("figure", { name: "ELO over the years" })
    await userEvent.click(within(chart).getByRole("button", { name: "Show as table" }))
    expect(
      within(chart).getByRole("row", { name: "Forest Grand Prix 2 March 2030 1,900" }),
    ).toBeInTheDocument()
    await userEvent.click(within(chart).getByRole("button", { name: /Date/ }))
    await userEvent.click(within(chart).getByRole("button", { name: /ELO/ }))
    expect(within(chart).getAllByRole("row")[1]).toHaveTextContent("1,900")
  })

  it("without a race or a seat has a page all the same", async () => {
    answer("/api/f1/drivers/ada-swift", { ...driver, constructor: null, elo_history: [], results: [] })
    open("/drivers/ada-swift")
    expect(await screen.findByText("Ada Swift has no rated race yet.")).toBeVisible()
    expect(screen.getByText("No results yet.")).toBeVisible()
  })

  it("keeps a line where there is a rating but no seat", async () => {
    answer("/api/f1/drivers/ada-swift", { ...driver, constructor: null })
    open("/drivers/ada-swift")
    expect(await screen.findByRole("figure", { name: "ELO over the years" })).toBeInTheDocument()
    expect(screen.queryByText(/Last seen/)).toBeNull()
  })

  it("that does not exist is said so", async () => {
    open("/drivers/nobody")
    expect(await screen.findByRole("heading", { name: "There is no such driver" })).toBeInTheDocument()
  })
})

describe("constructors", () => {
  it("stand with their drivers", async () => {
    open("/constructors")
    expect(
      await screen.findByRole("heading", { level: 1, name: "Aurora Racing has the highest rating" }),
    ).toBeInTheDocument()
    const table = screen.getByRole("table")
    expect(
      within(table).getByRole("row", { name: "Aurora Racing Swift and Marsh 1 61 1 3 1,700 +20" }),
    ).toBeInTheDocument()
    await userEvent.click(within(table).getByRole("button", { name: /Constructor/ }))
    await userEvent.click(within(table).getByRole("button", { name: /Constructor/ }))
    expect(rowNames(table)).toEqual(["Borealis", "Aurora Racing"])
  })
})

describe("a constructor", () => {
  it("has its drivers, its rating and its results", async () => {
    open("/constructors/aurora")
    expect(await screen.findByRole("heading", { level: 1, name: "Aurora Racing" })).toBeInTheDocument()
    expect(screen.getByText(/In 2031 with/)).toHaveTextContent(
      "In 2031 with Ada Swift, Ben de Vos and Cleo Marsh.",
    )
    expect(screen.getByRole("slider")).toHaveAttribute(
      "aria-valuetext",
      "2031 Forest Grand Prix, Aurora Racing 1,812",
    )
    const table = screen.getByRole("table", { name: "Results of Aurora Racing" })
    expect(
      within(table).getByRole("row", { name: "Forest Grand Prix 2 Mar none finished 25 61%" }),
    ).toBeInTheDocument()
    for (const name of [/Best car/, /Date/, /Points/, /Chance/]) {
      await userEvent.click(within(table).getByRole("button", { name }))
    }
    expect(rowNames(table)).toHaveLength(2)
  })

  it("without drivers or results has a page all the same", async () => {
    answer("/api/f1/constructors/aurora", { ...team, results: [], elo_history: [] })
    open("/constructors/aurora")
    expect(await screen.findByText("No results yet.")).toBeVisible()
  })

  it("that does not exist is said so", async () => {
    open("/constructors/nobody")
    expect(await screen.findByRole("heading", { name: "There is no such constructor" })).toBeInTheDocument()
  })
})
