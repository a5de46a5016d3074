import { screen, within } from "@testing-library/react"
import { userEvent } from "@testing-library/user-event"
import { describe, expect, it } from "vitest"
import { answer, open, withBackend, watchRequests } from "../testing/app.tsx"
import { ada, pastRace, predictions, raceSummary } from "../testing/fixtures.ts"

withBackend()

describe("the calendar", () => {
  it("shows what was predicted and what happened", async () => {
    open("/races")
    expect(
      await screen.findByRole("heading", { level: 1, name: "1 of 2 winners called" }),
    ).toBeInTheDocument()
    expect(screen.getByText("3 races, 2 run")).toBeVisible()
    const rows = within(screen.getByRole("main").querySelector("ol") as HTMLElement).getAllByRole("listitem")
    expect(rows.map((row) => row.textContent)).toEqual([
      "1Harbour Grand Prix1 Mar · Harbour RingPredicted SwiftWon by Swift● called it",
      "2Forest Grand Prix2 Mar · Forest RingPredicted SwiftWon by de Vos○ missed",
      "3Desert Grand Prix3 Mar · Desert RingPredicted SwiftResult to come–",
    ])
    expect(screen.getByRole("link", { name: "Forest Grand Prix" })).toHaveAttribute("href", "/races/2031/2")
  })

  it("asks for the latest season, then for the one chosen, and keeps it in the address and the navigation", async () => {
    const requests = watchRequests()
    open("/races")
    await userEvent.selectOptions(await screen.findByLabelText("Season"), "2030")
    expect(await screen.findByRole("heading", { level: 1 })).toBeInTheDocument()
    expect(location.search).toBe("?season=2030")
    expect(requests.filter((address) => address.startsWith("/api/f1/races"))).toEqual([
      "/api/f1/races?season=2031",
      "/api/f1/races?season=2030",
    ])
    expect(screen.getByRole("link", { name: "Drivers" })).toHaveAttribute("href", "/drivers?season=2030")
    expect(screen.getByRole("link", { name: "Model card" })).toHaveAttribute("href", "/model")
  })

  it("takes the latest season for one that does not exist", async () => {
    const requests = watchRequests()
    open("/races?season=1900")
    await screen.findByRole("heading", { level: 1 })
    expect(requests).toContain("/api/f1/races?season=2031")
  })

  it("of a season not begun, or without forecasts, boasts of nothing", async () => {
    answer("/api/f1/races", [
      raceSummary(1, { predicted_winner: null, hit: null, winner: null, demo: true }),
      raceSummary(2, { status: "upcoming", winner: null, hit: null }),
    ])
    open("/races")
    expect(await screen.findByRole("heading", { level: 1, name: "The 2031 season" })).toBeInTheDocument()
    expect(screen.getByText("no forecast")).toBeVisible()
    expect(screen.getByText("not known")).toBeVisible()
    expect(screen.getByText(/results are fictional/)).toBeVisible()
  })

  it("says what to run when there are no seasons", async () => {
    answer("/api/f1/seasons", [])
    open("/races")
    expect(
      await screen.findByRole("heading", { name: "No races have been ingested yet" }),
    ).toBeInTheDocument()
  })
})

describe("a race", () => {
  const show = async (changes: object, heading: string) => {
    answer("/api/f1/races/2031/2", { ...pastRace, ...changes })
    open("/races/2031/2")
    await screen.findByRole("heading", { level: 1, name: heading })
  }

  it("tells a surprise", async () => {
    await show({}, "de Vos won against the forecast")
    expect(
      screen.getByText(
        "The model gave Ben de Vos a 30% chance. Its favourite was Ada Swift with 55%, who finished 3rd.",
      ),
    ).toBeVisible()
    expect(screen.getByRole("link", { name: "2031" })).toHaveAttribute("href", "/races?season=2031")
  })

  it("tells a win that was forecast", async () => {
    await show({ race: raceSummary(2) }, "Swift won, as forecast")
    expect(screen.getByText("The model gave Ada Swift a 55% chance.")).toBeVisible()
  })

  it("compares forecast and result, in a picture and as a table", async () => {
    await show({}, "de Vos won against the forecast")
    const figure = screen.getByRole("figure", { name: "Forecast and result" })
    expect(
      within(figure).getByText(/Ben de Vos, ranked 2, finished 1, Cleo Marsh, ranked 3, finished 2/),
    ).toBeInTheDocument()
    expect([...figure.querySelectorAll("svg text")].map((text) => text.textContent)).toContain("DNF Okoro")
    await userEvent.click(within(figure).getByRole("button", { name: "Show as table" }))
    expect(within(figure).getByRole("row", { name: "Ada Swift 1 55% 90% 1 3" })).toBeInTheDocument()
    for (const name of [/Forecast/, /Win/, /Podium/, /Grid/, /Driver/, /Result/]) {
      await userEvent.click(within(figure).getByRole("button", { name }))
    }
    expect(within(figure).getAllByRole("rowheader").at(-1)).toHaveTextContent("Dan Okoro")
  })

  it("to come has no result", async () => {
    await show(
      { race: raceSummary(2, { status: "upcoming", winner: null, hit: null }), predictions },
      "Swift is the clear favourite",
    )
    expect(screen.queryByRole("figure", { name: "Forecast and result" })).toBeNull()
  })

  it("without a forecast tells the winner alone", async () => {
    await show(
      {
        race: raceSummary(2, { hit: null, predicted_winner: null, winner: ada, demo: true }),
        predictions: [],
        weather: null,
      },
      "Swift won",
    )
    expect(screen.getByText("No forecast was stored for this race.")).toBeVisible()
  })

  it("without a winner has the race's name", async () => {
    await show({ race: raceSummary(2, { winner: null, hit: null }), predictions: [] }, "Forest Grand Prix")
  })

  it.each(["/races/2031/19", "/races/then/now"])("that does not exist is said so: %s", async (address) => {
    open(address)
    expect(await screen.findByRole("heading", { name: "There is no such race" })).toBeInTheDocument()
  })
})
