import { screen, within } from "@testing-library/react"
import { userEvent } from "@testing-library/user-event"
import { describe, expect, it } from "vitest"
import type { Finding, Monitoring } from "../api/types.ts"
import { answer, fail, open, withBackend } from "../testing/app.tsx"
import { monitoring, watched } from "../testing/fixtures.ts"
import { driftWords, findingState, stageWords } from "../monitoringWords.ts"

withBackend()

const finding: Finding = {
  kind: "performance",
  stage: "post-qualifying",
  model_version: "m-7",
  message: "after qualifying, the model is worse than a logit on log grid",
  state: "open",
  raised_at: "2031-03-04T05:23:00Z",
  answered_at: null,
  answer: null,
  ended_at: null,
}

const drift: NonNullable<Monitoring["drift"]> = {
  verdict: "drift",
  because: null,
  cutoff: "2031-02-20",
  races: 6,
  rows: 24,
  reference: 40,
  windows: 12,
  features: [
    { name: "grid", label: "Starting place", distance: 0.81, usual: 0.2, chance: 0.004, drifted: true },
    { name: "driver_elo", label: "Driver ELO", distance: 0.21, usual: 0.2, chance: 1, drifted: false },
  ],
  corrections: [
    {
      season: 2031,
      round: 2,
      race: "Forest Grand Prix",
      date: "2031-03-02",
      kind: "qualifying",
      version: 2,
      source: "jolpica",
      withdrawn: true,
      recorded_at: "2031-03-05T10:00:00Z",
    },
  ],
}

/** The panel, once it shows this report. */
async function panel(report: Monitoring = monitoring) {
  answer("/api/f1/monitoring", report)
  open("/performance")
  return within(await screen.findByRole("region", { name: "Is it still good enough?" }))
}

describe("monitoring on the dashboard", () => {
  it("shows what is proven, the evidence and the best baseline", async () => {
    const shown = await panel()
    expect(
      shown.getByText(
        "After qualifying: over 2 races, neither the model nor the baselines are proven to be better.",
      ),
    ).toBeVisible()
    expect(shown.getByText(/Before qualifying: no forecast that was kept/)).toBeVisible()
    expect(shown.getByText("1.3")).toBeVisible()
    expect(shown.getByText("alarm from 40; at the start 1")).toBeVisible()
    expect(shown.getByText("0.500")).toBeVisible()
    expect(shown.getAllByText("how often the starting place won")).toHaveLength(2)
    expect(shown.getByText(/a chance of at most 5%/)).toBeVisible()
    expect(shown.queryByText(/Out of date/)).toBeNull()
    expect(shown.queryByRole("list", { name: "Findings" })).toBeNull()
  })

  it("says that too little data is not the absence of drift", async () => {
    const shown = await panel()
    expect(
      shown.getByText(
        "Inputs: too little data to say anything. 4 races that the model has not seen are needed, there are 2.",
      ),
    ).toBeVisible()
    expect(shown.queryByText(/as is usual/)).toBeNull()
  })

  it("lists the kept forecasts, latest first, with corrections, each column sortable", async () => {
    const shown = await panel()
    const table = shown.getByRole("table", { name: /After qualifying: forecasts/ })
    const races = () =>
      within(table)
        .getAllByRole("rowheader")
        .map((cell) => cell.textContent)
    expect(races()).toEqual(["Forest Grand Prix", "Harbour Grand Prix"])
    expect(
      within(table).getByRole("row", {
        name: "Forest Grand Prix 2 Mar 2031 Swift 55% 0.60 0.50 0.90 1.25 corrected, version 2",
      }),
    ).toBeInTheDocument()
    for (const name of [/Winner/, /Model/, /Evidence/, /Race/, /Date/]) {
      await userEvent.click(within(table).getByRole("button", { name }))
    }
    expect(races()).toEqual(["Harbour Grand Prix", "Forest Grand Prix"])
  })

  it("lists findings with what became of them", async () => {
    const shown = await panel({
      ...monitoring,
      stages: [watched({ verdict: "worse", evidence: 52 })],
      findings: [finding],
    })
    const items = within(shown.getByRole("list", { name: "Findings" })).getAllByRole("listitem")
    expect(items.map((item) => item.textContent)).toEqual([
      "after qualifying, the model is worse than a logit on log grid" +
        "Model m-7, 4 Mar 2031, 05:23 UTC · open: the next training knows of it",
    ])
    expect(shown.getByText(/proven to be worse than at least one baseline/)).toBeVisible()
  })

  it("shows drifted inputs beside the corrections of data", async () => {
    const shown = await panel({ ...monitoring, drift })
    expect(shown.getByText(/by more than is usual: Starting place\./)).toBeVisible()
    const inputs = shown.getByRole("table", { name: /Inputs of 6 races/ })
    expect(
      within(inputs).getByRole("row", { name: "Starting place 0.81 0.20 <1% drifted" }),
    ).toBeInTheDocument()
    expect(
      within(inputs).getByRole("row", { name: "Driver ELO 0.21 0.20 100% as usual" }),
    ).toBeInTheDocument()
    const corrections = shown.getByRole("table", { name: /Corrections of data/ })
    expect(
      within(corrections).getByRole("row", {
        name: "2031 Forest Grand Prix qualifying withdrawn 2 jolpica 5 Mar 2031, 10:00 UTC",
      }),
    ).toBeInTheDocument()
  })

  it("says when results have changed since", async () => {
    const shown = await panel({ ...monitoring, outdated: true })
    expect(shown.getByRole("status")).toHaveTextContent(
      "Out of date. Results or forecasts have changed since 4 Mar 2031, 05:23 UTC",
    )
  })

  it("names races that are left out, and baselines that were not kept", async () => {
    const stage = watched({ best: null, log_loss: null })
    const shown = await panel({
      ...monitoring,
      drift: null,
      stages: [
        {
          ...stage,
          races: stage.races.map((race) => ({ ...race, baselines: {} })),
          left_out: [
            { season: 2031, round: 3, race: "Desert Grand Prix", because: "its results name no winner" },
          ],
        },
      ],
    })
    expect(shown.getByText("2031 Desert Grand Prix is left out: its results name no winner.")).toBeVisible()
    expect(shown.getByText("none was kept")).toBeVisible()
    expect(
      shown.getByRole("row", { name: /Harbour Grand Prix.*0\.60 – – 1\.10 as first/ }),
    ).toBeInTheDocument()
  })

  it("says what to run before anybody has looked", async () => {
    const shown = await panel({
      judged_at: null,
      outdated: false,
      alpha: null,
      model_version: null,
      stages: [],
      drift: null,
      findings: [],
    })
    expect(shown.getByText(/have not been judged yet/)).toBeVisible()
    expect(shown.getByText("python -m f1 monitor")).toBeVisible()
  })

  it("leaves the rest of the page when it cannot be read", async () => {
    fail("/api/f1/monitoring", 500, "The server has a problem")
    open("/performance")
    expect(await screen.findByRole("alert")).toHaveTextContent("The server has a problem")
    expect(screen.getByRole("heading", { level: 1, name: /The favourite won/ })).toBeInTheDocument()
    expect(screen.queryByText(/good enough/)).toBeNull()
  })
})

describe("its words", () => {
  it.each([
    ["worse", "After qualifying: over 2 races, the model is proven to be worse than at least one baseline."],
    ["better", "After qualifying: over 2 races, the model is proven to be better than every baseline."],
  ] as const)("of a verdict of %s", (verdict, words) => {
    expect(stageWords(watched({ verdict }))).toBe(words)
  })

  it("of inputs as usual, and without a model", () => {
    expect(driftWords({ ...drift, verdict: "no-drift" })).toBe(
      "Inputs: the last 6 races that the model has not seen differ from the 40 before as much as is usual.",
    )
    expect(driftWords({ ...drift, verdict: "no-model" })).toBe(
      "Inputs: no model serves, so there is nothing to compare with.",
    )
  })

  const at = "2031-03-05T10:00:00Z"
  it.each([
    [{ state: "open" }, "open: the next training knows of it"],
    [
      { state: "answered", answered_at: at, answer: "unproven: the champion stays" },
      "a training that knew of it ended on 5 Mar 2031, 10:00 UTC: unproven: the champion stays",
    ],
    [{ state: "replaced", ended_at: at }, "over: another model serves since 5 Mar 2031, 10:00 UTC"],
    [{ state: "withdrawn", ended_at: at }, "taken back on 5 Mar 2031, 10:00 UTC: its evidence is gone"],
  ] as const)("of a finding %j", (changes, words) => {
    expect(findingState({ ...finding, ...changes })).toBe(words)
  })
})
