import { screen, within } from "@testing-library/react"
import { userEvent } from "@testing-library/user-event"
import { describe, expect, it, vi } from "vitest"
import { answer, fail, open, withBackend } from "../testing/app.tsx"
import { fullRace, nextRace, raceSummary } from "../testing/fixtures.ts"

withBackend()

describe("the next race", () => {
  it("says who is the favourite, when and where, and which model says so", async () => {
    vi.setSystemTime("2031-03-01T10:00:00Z")
    open("/")
    expect(
      await screen.findByRole("heading", { level: 1, name: "Swift is the clear favourite" }),
    ).toBeInTheDocument()
    expect(screen.getByText("Ada Swift has a 55% chance to win.")).toBeVisible()
    expect(screen.getByText("3 March 2031")).toBeVisible()
    expect(screen.getByText("in 2 days")).toBeVisible()
    expect(screen.getByText("Desert Ring")).toBeVisible()
    expect(screen.getByText(/24\s°C, dry/)).toBeVisible()
    expect(screen.getByText("After qualifying")).toBeVisible()
    expect(screen.getByRole("link", { name: "m-7" })).toHaveAttribute("href", "/model")
    expect(screen.getByText(/computed 2 Mar 2031, 16:05 UTC/)).toBeVisible()
    expect(document.title).toBe("Desert Grand Prix · Pitwall Forecast")
    vi.useRealTimers()
  })

  it("ranks the drivers with both chances", async () => {
    open("/")
    const rows = await screen.findAllByRole("button", { name: /podium/ })
    expect(rows.map((row) => row.textContent)).toEqual([
      expect.stringMatching(/Ada Swift.*starts 1st.*win 55%.*podium 90%/),
      expect.stringMatching(/Ben de Vos.*win 30%.*podium 85%/),
      expect.stringMatching(/Cleo Marsh.*win 15%.*podium 80%/),
      expect.stringMatching(/Dan Okoro(?!.*starts).*win <1%.*podium 45%/),
    ])
  })

  it("says why the forecast is not what one would expect", async () => {
    answer("/api/f1/races/next", { ...nextRace, note: "Qualifying has 1 of about 20 drivers so far." })
    open("/")
    expect(await screen.findByText("Qualifying has 1 of about 20 drivers so far.")).toBeVisible()
  })

  it("opens a driver to show what raises and what lowers the chance", async () => {
    open("/")
    const row = await screen.findByRole("button", { name: /Ada Swift/ })
    expect(row).toHaveAttribute("aria-expanded", "false")
    await userEvent.click(row)
    expect(row).toHaveAttribute("aria-expanded", "true")
    const effects = screen
      .getAllByRole("listitem")
      .filter((item) => item.className.startsWith("contribution"))
    expect(effects.map((item) => item.textContent)).toEqual([
      "Place on the grid 1raises, chance × 2.5",
      "Driver rating 1812.40lowers, chance × 0.7",
      "Gap to pole, % not knownraises, chance × 1.05",
    ])
    expect(screen.getByText(/All else, with how strong the field is: chance × 1\.2\./)).toBeVisible()
    expect(screen.getByText(/against an even share of 25%/)).toBeVisible()
    expect(screen.getByRole("link", { name: "More about Ada Swift" })).toHaveAttribute(
      "href",
      "/drivers/ada-swift",
    )
    await userEvent.click(row)
    expect(screen.queryByText(/raises, chance/)).toBeNull()
  })

  it("says when no explanation is stored", async () => {
    open("/")
    await userEvent.click(await screen.findByRole("button", { name: /Dan Okoro/ }))
    expect(screen.getByText("No explanation is stored for this prediction.")).toBeVisible()
  })

  it("shows the same as a table", async () => {
    open("/")
    const figure = await screen.findByRole("figure", { name: /Chances to win/ })
    expect(within(figure).getByText(/Ada Swift 55%, Ben de Vos 30% and Cleo Marsh 15%/)).toBeInTheDocument()
    await userEvent.click(within(figure).getByRole("button", { name: "Show as table" }))
    const table = within(figure).getByRole("table")
    expect(within(table).getByRole("row", { name: "Dan Okoro Borealis – <1% 45%" })).toBeInTheDocument()
    await userEvent.click(within(table).getByRole("button", { name: /Podium/ }))
    await userEvent.click(within(table).getByRole("button", { name: /Podium/ }))
    expect(within(table).getAllByRole("rowheader")[0]).toHaveTextContent("Dan Okoro")
    for (const name of [/Driver/, /Constructor/, /Grid/, /Win/]) {
      await userEvent.click(within(table).getByRole("button", { name }))
    }
    expect(within(table).getAllByRole("rowheader")[0]).toHaveTextContent("Ada Swift")
  })

  it("shows the first ten of a full field, and all on demand", async () => {
    answer("/api/f1/races/next", fullRace)
    open("/")
    const more = await screen.findByRole("button", { name: "Show all 12 drivers" })
    expect(screen.queryByText("Driver Number11")).toBeNull()
    await userEvent.click(more)
    expect(screen.getByText("Driver Number12")).toBeVisible()
    expect(screen.getByRole("button", { name: "Show the first ten" })).toHaveAttribute(
      "aria-expanded",
      "true",
    )
  })

  it("before the weekend, says what is not known yet", async () => {
    answer("/api/f1/races/next", {
      ...nextRace,
      stage: "pre-weekend",
      weather: null,
      generated_at: null,
      out_of_sample: false,
      race: { ...nextRace.race, demo: true },
    })
    open("/")
    expect(await screen.findByText("Before the weekend")).toBeVisible()
    expect(screen.getByText("the grid is not known yet")).toBeVisible()
    expect(screen.getByText("Not known yet")).toBeVisible()
    expect(screen.getByText(/It has seen this race/)).toBeVisible()
    expect(screen.getByText(/results are fictional/)).toBeVisible()
  })

  it("says that the result is awaited once the day has passed", async () => {
    answer("/api/f1/races/next", {
      ...nextRace,
      race: raceSummary(3, { date: "2020-01-01", status: "upcoming" }),
    })
    open("/")
    expect(await screen.findByText(/days ago, result not ingested yet/)).toBeVisible()
  })

  it("shows a race without predictions", async () => {
    answer("/api/f1/races/next", { ...nextRace, predictions: [], model_version: null })
    open("/")
    expect(await screen.findByRole("heading", { level: 1, name: "Desert Grand Prix" })).toBeInTheDocument()
    expect(screen.queryByRole("link", { name: "m-7" })).toBeNull()
  })
})

describe("without a next race", () => {
  it("says that the season is over, and where to go", async () => {
    fail("/api/f1/races/next", 404, "No race is coming up")
    open("/")
    expect(await screen.findByRole("heading", { name: "No race is coming up" })).toBeInTheDocument()
    expect(screen.getByRole("link", { name: /Look back/ })).toHaveAttribute("href", "/races")
  })

  it("says what to run when nothing was ever ingested", async () => {
    fail("/api/f1/races/next", 404, "No race is coming up")
    answer("/api/f1/seasons", [])
    open("/")
    expect(
      await screen.findByRole("heading", { name: "No races have been ingested yet" }),
    ).toBeInTheDocument()
    expect(screen.getByText("python -m f1 ingest jolpica")).toBeVisible()
  })

  it("says what to do when no model is loaded, and tries again", async () => {
    fail("/api/f1/races/next", 503, "No model is loaded.")
    open("/")
    expect(
      await screen.findByRole("heading", { name: "The forecast is not available yet" }, { timeout: 8000 }),
    ).toBeInTheDocument()
    expect(screen.getByText("No model is loaded.")).toBeVisible()
    answer("/api/f1/races/next", nextRace)
    await userEvent.click(screen.getByRole("button", { name: "Try again" }))
    expect(await screen.findByRole("heading", { level: 1, name: /Swift/ })).toBeInTheDocument()
  }, 15_000)

  it("says that the server failed, and tries again", async () => {
    fail("/api/f1/races/next", 500, "Boom")
    open("/")
    expect(await screen.findByRole("alert")).toHaveTextContent("The server has a problem")
    answer("/api/f1/races/next", nextRace)
    await userEvent.click(screen.getByRole("button", { name: "Try again" }))
    expect(await screen.findByRole("heading", { level: 1, name: /Swift/ })).toBeInTheDocument()
  })
})
