import { screen, within } from "@testing-library/react"
import { userEvent } from "@testing-library/user-event"
import { describe, expect, it } from "vitest"
import { answer, open, withBackend } from "../testing/app.tsx"
import { model } from "../testing/fixtures.ts"

withBackend()

const withInterval = (low: number, mid: number, high: number) => ({
  ...model,
  metrics: {
    ...model.metrics,
    bootstrap: { draws: 2000, log_loss_difference: { low, mid, high, mean: mid } },
  },
})

describe("the model card", () => {
  it.each([
    [-0.2, -0.1, -0.01, "The model beats the grid"],
    [-0.2, -0.1, 0.02, "The model and the grid are too close to call"],
    [0.01, 0.1, 0.2, "The grid beats the model"],
  ])("with the interval from %d over %d to %d says: %s", async (low, mid, high, verdict) => {
    answer("/api/f1/model", withInterval(low, mid, high))
    open("/model")
    expect(await screen.findByRole("heading", { level: 1, name: verdict })).toBeInTheDocument()
  })

  it("names version, cutoff and training, and the races it was tested on", async () => {
    open("/model")
    expect(await screen.findByText("Model m-7")).toBeVisible()
    expect(screen.getByText("20 February 2031")).toBeVisible()
    expect(screen.getByText("2 Mar 2031")).toBeVisible()
    expect(screen.getByText("44 races")).toBeVisible()
    expect(screen.getByText("seasons 2030 and 2031")).toBeVisible()
    expect(screen.getByText("0123abc")).toBeVisible()
    expect(screen.getByText("feedbeef")).toBeVisible()
    expect(screen.getByText("xgboost 3.1.1")).toBeVisible()
    expect(screen.getByText("It knows nothing of strategy.")).toBeVisible()
    expect(screen.queryByText(/fictional/)).toBeNull()
  })

  it("has the scores beside the baseline", async () => {
    open("/model")
    const table = await screen.findByRole("table", { name: /Walk-forward over 44 races/ })
    expect(
      within(table).getByRole("row", { name: "Log-loss of the winner (lower is better) 1.000 1.100" }),
    ).toBeInTheDocument()
    expect(
      within(table).getByRole("row", { name: "Winner called (higher is better) 70% 60%" }),
    ).toBeInTheDocument()
  })

  it("has every baseline season by season, and says where one was better", async () => {
    open("/model")
    const table = await screen.findByRole("table", { name: /In brackets a 95% interval/ })
    expect(
      within(table).getByRole("row", {
        name: "logit on log grid and form 0.900 1.200 1.040 \u22120.040 (\u22120.100 to +0.020)",
      }),
    ).toBeInTheDocument()
    expect(within(table).getByRole("row", { name: /The model 0\.700 1\.300 1\.000/ })).toBeInTheDocument()
    expect(screen.getByText(/\+11\.0 in 2030 and \u22126\.6 in 2031/)).toBeVisible()
  })

  it("has the interval in words and as a table", async () => {
    open("/model")
    const chart = await screen.findByRole("figure", { name: "Could it be luck?" })
    expect(
      within(chart).getByText(/\u22120\.100, 95% interval \u22120\.200 to \u22120\.010/),
    ).toBeInTheDocument()
    await userEvent.click(within(chart).getByRole("button", { name: "Show as table" }))
    expect(
      within(chart).getByRole("row", { name: "\u22120.100 \u22120.200 \u22120.010" }),
    ).toBeInTheDocument()
  })

  it("ranks the features", async () => {
    open("/model")
    const chart = await screen.findByRole("figure", { name: "What it looks at" })
    expect(
      within(chart)
        .getAllByRole("listitem")
        .map((item) => item.textContent),
    ).toEqual(["Place on the grid60%", "Driver rating40%"])
    await userEvent.click(within(chart).getByRole("button", { name: "Show as table" }))
    expect(within(chart).getByRole("row", { name: "Driver rating driver_elo 40%" })).toBeInTheDocument()
    await userEvent.click(within(chart).getByRole("button", { name: /Importance/ }))
    await userEvent.click(within(chart).getByRole("button", { name: /Feature/ }))
    expect(within(chart).getAllByRole("rowheader")[0]).toHaveTextContent("Driver rating")
  })

  it("says when it was trained on the simulator", async () => {
    answer("/api/f1/model", { ...model, demo: true })
    open("/model")
    expect(await screen.findByText(/results are fictional/)).toBeVisible()
  })
})
