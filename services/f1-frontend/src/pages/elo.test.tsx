import { screen, within } from "@testing-library/react"
import { userEvent } from "@testing-library/user-event"
import { describe, expect, it } from "vitest"
import { answer, open, withBackend, watchRequests } from "../testing/app.tsx"
import { elo } from "../testing/fixtures.ts"

withBackend()

const named = () => [...document.querySelectorAll(".line-name")].map((name) => name.textContent)

describe("ELO over a season", () => {
  it("highlights the five strongest, names them at their lines and reads the last round", async () => {
    open("/elo")
    expect(
      await screen.findByRole("heading", { level: 1, name: "Swift gained the most" }),
    ).toBeInTheDocument()
    expect(named()).toEqual(["de Vos", "Swift", "Marsh", "Okoro", "Lindt"])
    expect(screen.getByRole("slider", { name: "Round to read" })).toHaveAttribute(
      "aria-valuetext",
      expect.stringMatching(/^Round 3, .*, de Vos 1,840, Swift 1,812, Marsh 1,500, Lindt 1,360$/),
    )
    expect(await screen.findByText("Round 3, Desert Grand Prix")).toBeInTheDocument()
  })

  it("gives the second line of a team dashes", async () => {
    open("/elo")
    await screen.findByRole("heading", { level: 1 })
    await screen.findByText("Round 3, Desert Grand Prix")
    expect(document.querySelectorAll(".line-emphasis[stroke-dasharray]").length).toBeGreaterThan(0)
  })

  it("takes a driver out of the highlight and puts another in, by keyboard", async () => {
    open("/elo")
    const out = await screen.findByRole("button", { name: "de Vos" })
    expect(out).toHaveAttribute("aria-pressed", "true")
    out.focus()
    await userEvent.keyboard("{Enter}")
    expect(out).toHaveAttribute("aria-pressed", "false")
    await userEvent.click(screen.getByRole("button", { name: "Moss" }))
    expect(named()).toEqual(["Swift", "Marsh", "Okoro", "Lindt", "Moss"])
  })

  it("shows the numbers as a table", async () => {
    open("/elo")
    const chart = await screen.findByRole("figure", { name: "All drivers" })
    expect(
      within(chart).getByText(/Highest at the end: Ben de Vos 1,840, Ada Swift 1,812 and Cleo Marsh 1,500/),
    ).toBeInTheDocument()
    await userEvent.click(within(chart).getByRole("button", { name: "Show as table" }))
    expect(within(chart).getByRole("row", { name: "Ada Swift 1,700 1,812 +112" })).toBeInTheDocument()
    for (const name of [/Driver/, /First/, /Last/, /Change/]) {
      await userEvent.click(within(chart).getByRole("button", { name }))
    }
    expect(within(chart).getAllByRole("rowheader")[0]).toHaveTextContent("Ada Swift")
  })

  it("switches to constructors and keeps that in the address", async () => {
    const requests = watchRequests()
    open("/elo?season=2030")
    await userEvent.click(await screen.findByRole("radio", { name: "Constructors" }))
    expect(await screen.findByRole("figure", { name: "All constructors" })).toBeInTheDocument()
    expect(location.search).toBe("?season=2030&kind=constructor")
    expect(requests).toContain("/api/f1/elo?season=2030&kind=constructor")
    await userEvent.click(screen.getByRole("button", { name: "Show as table" }))
    expect(screen.getByRole("columnheader", { name: /Constructor/ })).toBeInTheDocument()
    await userEvent.click(screen.getByRole("radio", { name: "Drivers" }))
    expect(location.search).toBe("?season=2030&kind=driver")
  })

  it("of a season not begun says so", async () => {
    answer("/api/f1/elo", [])
    open("/elo")
    expect(await screen.findByRole("heading", { level: 1, name: "No ratings yet" })).toBeInTheDocument()
    expect(screen.getByText("No race of 2031 has been run yet.")).toBeVisible()
  })

  it("draws someone without a single rated race as nothing", async () => {
    answer("/api/f1/elo", [...elo.slice(0, 2), { id: "gil-new", name: "Gil New", points: [] }])
    open("/elo")
    await screen.findByRole("heading", { level: 1 })
    expect(named()).toEqual(["de Vos", "Swift"])
    await userEvent.click(screen.getByRole("button", { name: "Show as table" }))
    expect(screen.getByRole("row", { name: "Gil New 0 0 0" })).toBeInTheDocument()
  })
})
