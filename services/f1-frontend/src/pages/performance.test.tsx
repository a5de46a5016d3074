import { screen, within } from "@testing-library/react"
import { userEvent } from "@testing-library/user-event"
import { describe, expect, it } from "vitest"
import { answer, fail, open, withBackend, watchRequests } from "../testing/app.tsx"
import { model, noPerformance, past, performance } from "../testing/fixtures.ts"

withBackend()

const figure = (name: RegExp) => screen.findByRole("figure", { name })

describe("performance", () => {
  it("has the record in the headline and the scores beside the baseline", async () => {
    open("/performance")
    expect(
      await screen.findByRole("heading", { level: 1, name: "The favourite won 2 of 3 races" }),
    ).toBeInTheDocument()
    expect(screen.getAllByText("67%")).toHaveLength(2)
    expect(screen.getByText("2 of 3 races")).toBeVisible()
    expect(screen.getByText("6 of 9 places")).toBeVisible()
    expect(screen.getByText("0.937")).toBeVisible()
    expect(screen.getByText("1.133")).toBeVisible()
    expect(screen.getByText("model \u22120.196")).toBeVisible()
  })

  it("draws the lead race by race, with the turning points", async () => {
    open("/performance")
    const lead = await figure(/lead over the grid/)
    expect(within(lead).getByText(/better in 2 of them; at the end its lead is \+0\.59/)).toBeInTheDocument()
    expect(within(lead).getByText("Harbour Grand Prix 2031: Swift won at 55%")).toBeInTheDocument()
    expect(within(lead).getByText("Forest Grand Prix 2031: de Vos won at 20%")).toBeInTheDocument()
    await userEvent.click(within(lead).getByRole("button", { name: "Show as table" }))
    expect(
      within(lead).getByRole("row", { name: "2031 Forest Grand Prix 1.61 1.20 +0.09" }),
    ).toBeInTheDocument()
    await userEvent.click(within(lead).getByRole("button", { name: /Model/ }))
    await userEvent.click(within(lead).getByRole("button", { name: /Grid alone/ }))
    expect(within(lead).getAllByRole("rowheader")[0]).toHaveTextContent("2031 Forest Grand Prix")
  })

  it("shows calibration with counts, and how to read it", async () => {
    open("/performance")
    const calibration = await figure(/30% chance really 30%/)
    expect(
      within(calibration).getByText(/where the model said 34%, drivers won 50% of 20 times/),
    ).toBeInTheDocument()
    expect(within(calibration).getByText("600")).toBeInTheDocument()
    expect(screen.getByRole("heading", { name: "How to read it" })).toBeInTheDocument()
    await userEvent.click(within(calibration).getByRole("button", { name: "Show as table" }))
    expect(within(calibration).getByRole("row", { name: "30% to 40% Model 34% 50% 20" })).toBeInTheDocument()
    expect(
      within(calibration).getByRole("row", { name: "0% to 10% Grid alone 3% 4% 620" }),
    ).toBeInTheDocument()
    for (const name of [/Forecast by/, /Said/, /Happened/, /Forecasts/]) {
      await userEvent.click(within(calibration).getByRole("button", { name }))
    }
    expect(within(calibration).getAllByRole("row")[1]).toHaveTextContent("620")
  })

  it("lists the races, latest first, each column sortable", async () => {
    open("/performance")
    const table = await screen.findByRole("table", { name: "Past predictions" })
    const races = () =>
      within(table)
        .getAllByRole("rowheader")
        .map((cell) => cell.textContent)
    expect(races()).toEqual(["Desert Grand Prix", "Forest Grand Prix", "Harbour Grand Prix"])
    expect(
      within(table).getByRole("row", {
        name: "Forest Grand Prix 2 Mar 2031 Swift 55% de Vos 20% missed 2 of 3 \u22120.41",
      }),
    ).toBeInTheDocument()
    for (const name of [/Favourite/, /Winner/, /Call/, /Podium/, /Date/, /Race/, /Lead/]) {
      await userEvent.click(within(table).getByRole("button", { name }))
    }
    expect(races().at(-1)).toBe("Forest Grand Prix")
  })

  it("shows the last races, and all on demand", async () => {
    const many = Array.from({ length: 30 }, (_, index) => past(index + 1, { race: `Race ${index + 1}` }))
    answer("/api/f1/performance", { ...performance, predictions: many })
    open("/performance")
    const table = await screen.findByRole("table", { name: "Past predictions" })
    expect(
      within(table)
        .getAllByRole("rowheader")
        .map((cell) => cell.textContent),
    ).toEqual(
      many
        .toReversed()
        .slice(0, 24)
        .map((prediction) => prediction.race),
    )
    await userEvent.click(screen.getByRole("button", { name: "Show all 30 races" }))
    expect(within(table).getAllByRole("rowheader")).toHaveLength(30)
    await userEvent.click(screen.getByRole("button", { name: "Show the last 24" }))
    expect(within(table).getAllByRole("rowheader")).toHaveLength(24)
  })

  it("looks at one season, or at all", async () => {
    const requests = watchRequests()
    open("/performance?season=2031")
    expect(await screen.findByText("The 2031 season")).toBeVisible()
    await userEvent.selectOptions(screen.getByLabelText("Season"), "all")
    expect(await screen.findByText("All forecast seasons")).toBeVisible()
    expect(requests.filter((address) => address.includes("performance"))).toEqual([
      "/api/f1/performance?season=2031",
      "/api/f1/performance",
    ])
  })

  it("marks no turning point where the model never led or never trailed", async () => {
    answer("/api/f1/performance", {
      ...performance,
      predictions: [past(1, { log_loss: 1, baseline_log_loss: 1 })],
    })
    open("/performance")
    const lead = await figure(/lead over the grid/)
    expect(within(lead).queryByText(/won at/)).toBeNull()
  })

  it("says what to do where there are no forecasts", async () => {
    answer("/api/f1/performance", noPerformance)
    answer("/api/f1/model", { ...model, calibration: { model: [], baseline: [] } })
    open("/performance")
    expect(
      await screen.findByRole("heading", { name: "No past predictions for this season" }),
    ).toBeInTheDocument()
    expect(screen.getByText("python -m f1 predict --backfill")).toBeVisible()
    expect(await screen.findByText("There are no forecasts to judge yet.")).toBeInTheDocument()
  })

  it("writes a dash for a score that there is not", async () => {
    answer("/api/f1/performance", { ...performance, totals: noPerformance.totals })
    open("/performance")
    expect(await screen.findAllByText("–")).toHaveLength(4)
  })

  it("keeps the record when the model card cannot be had", async () => {
    fail("/api/f1/model", 500, "Boom")
    open("/performance")
    expect(await screen.findByRole("alert")).toHaveTextContent("The server has a problem")
    expect(screen.getByRole("heading", { level: 1, name: /The favourite won/ })).toBeInTheDocument()
  })

  it("says what to run when there are no seasons", async () => {
    answer("/api/f1/seasons", [])
    open("/performance")
    expect(
      await screen.findByRole("heading", { name: "No races have been ingested yet" }),
    ).toBeInTheDocument()
  })
})
