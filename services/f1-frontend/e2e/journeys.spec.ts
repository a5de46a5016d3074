import { expect, test } from "@f1/frontend-kit/e2e"
import { percent, surname } from "../src/format.ts"
import { byRank } from "../src/words.ts"
import { Platform, required } from "./platform.ts"

test("@phone the next race: who wins, why, and all of it as a table", async ({ page, request }) => {
  const detail = await new Platform(request).nextRace()
  const ranked = byRank(detail.predictions)
  const favourite = required(ranked[0], "prediction for the next race")
  await page.goto("/")
  await expect(page.getByRole("heading", { level: 1 })).toContainText(surname(favourite.driver.name))
  await expect(
    page.getByText(`${favourite.driver.name} has a ${percent(favourite.win)} chance to win.`),
  ).toBeVisible()
  await expect(page.getByText(detail.race.circuit_name, { exact: true })).toBeVisible()
  await expect(page).toHaveTitle(`${detail.race.name} · Pitwall Forecast`)

  const row = page.getByRole("button", { name: favourite.driver.name })
  await row.click()
  await expect(row).toHaveAttribute("aria-expanded", "true")
  await expect(page.getByText(/(raises|lowers), chance ×/)).toHaveCount(
    favourite.drivers_of_prediction.length,
  )

  await page.getByRole("button", { name: "Show as table" }).click()
  await expect(page.getByRole("rowheader")).toHaveCount(ranked.length)
  await page.getByRole("button", { name: "Podium" }).click()
  const surest = ranked.toSorted((a, b) => b.podium - a.podium)[0]
  await expect(page.getByRole("rowheader").first()).toHaveText(surest?.driver.name ?? "")
})

test("@phone from the calendar to a race, its winner and the winner's team", async ({ page, request }) => {
  const race = await new Platform(request).lastJudged()
  const winner = required(race.winner, "winner of a judged race")
  await page.goto(`/races?season=${race.season}`)
  await page.getByRole("link", { name: race.name }).click()
  await expect(page).toHaveURL(`/races/${race.season}/${race.round}`)
  await expect(page.getByRole("heading", { level: 1 })).toHaveText(
    `${surname(winner.name)} won${race.hit ? ", as forecast" : " against the forecast"}`,
  )
  await page.getByRole("button", { name: "Show as table" }).first().click()
  await page.getByRole("link", { name: winner.name }).click()
  await expect(page.getByRole("heading", { level: 1 })).toHaveText(winner.name)
  await expect(page.getByRole("figure", { name: "ELO over the years" })).toBeVisible()
  await page.getByRole("main").getByRole("link", { name: /.+/ }).nth(1).click()
  await expect(page).toHaveURL(/\/constructors\//)
  await page.goBack()
  await expect(page.getByRole("heading", { level: 1 })).toHaveText(winner.name)
})

test("@phone the season chosen goes along to other sections", async ({ page, request }) => {
  const first = required((await new Platform(request).seasons())[0], "season")
  await page.goto("/drivers")
  await page.getByLabel("Season").selectOption(String(first))
  await expect(page.getByRole("table", { name: `Drivers of ${first}` })).toBeVisible()
  await page.getByRole("link", { name: "Constructors", exact: true }).click()
  await expect(page.getByRole("table", { name: `Constructors of ${first}` })).toBeVisible()
  await page.reload()
  await expect(page.getByLabel("Season")).toHaveValue(String(first))
})

test("@phone how past forecasts fared", async ({ page, request }) => {
  const { totals, predictions } = await new Platform(request).performance()
  await page.goto("/performance")
  await expect(page.getByRole("region", { name: "Is it still good enough?" })).toBeVisible()
  await expect(page.getByRole("heading", { level: 1 })).toHaveText(
    `The favourite won ${totals.hits} of ${totals.races} races`,
  )
  await expect(
    page.getByText(required(totals.log_loss, "log-loss").toFixed(3), { exact: true }),
  ).toBeVisible()
  await expect(page.getByRole("figure", { name: "Is a 30% chance really 30%?" })).toBeVisible()
  await expect(page.getByRole("heading", { name: "How to read it" })).toBeVisible()
  const races = page.getByRole("table", { name: "Past predictions" }).getByRole("rowheader")
  await expect(races).toHaveCount(Math.min(24, predictions.length))
  await expect(races.first()).toHaveText(required(predictions.at(-1), "past prediction").race)
})

test("@phone ELO: highlight someone, read a round, switch to constructors", async ({ page, request }) => {
  const platform = new Platform(request)
  const season = (await platform.lastJudged()).season
  const series = await platform.elo(season, "driver")
  const last = (id: string) => series.find((entry) => entry.id === id)?.points.at(-1)?.elo ?? 0
  const weakest = required(series.toSorted((a, b) => last(a.id) - last(b.id))[0], "rating of a driver")
  await page.goto(`/elo?season=${season}`)
  await expect(page.locator(".line-name")).toHaveCount(Math.min(5, series.length))
  const chip = page.getByRole("button", { name: surname(weakest.name), exact: true })
  await chip.click()
  await expect(chip).toHaveAttribute("aria-pressed", "true")
  await expect(page.locator(".line-name", { hasText: surname(weakest.name) })).toBeVisible()

  const slider = page.getByRole("slider")
  const box = required(await slider.boundingBox(), "slider")
  await slider.click({ position: { x: 2, y: box.height / 2 } })
  await expect(slider).toHaveAttribute("aria-valuetext", /^Round 1,/)

  await page.getByText("Constructors", { exact: true }).last().click()
  await expect(page.getByRole("figure", { name: "All constructors" })).toBeVisible()
  await expect(page).toHaveURL(/kind=constructor/)
})

test("@phone the model card", async ({ page, request }) => {
  const card = await new Platform(request).model()
  await page.goto("/model")
  await expect(page.getByText(`Model ${card.version}`)).toBeVisible()
  const scores = page.getByRole("table", { name: /Walk-forward/ })
  await expect(scores.getByRole("row", { name: /Log-loss of the winner/ })).toContainText(
    card.metrics.model.winner_log_loss.toFixed(3),
  )
  await expect(scores.getByRole("row", { name: /Log-loss of the winner/ })).toContainText(
    card.metrics.baseline.winner_log_loss.toFixed(3),
  )
  await expect(page.getByRole("figure", { name: "Could it be luck?" })).toBeVisible()
  await expect(page.getByRole("figure", { name: "What it looks at" }).getByRole("listitem")).toHaveCount(
    card.features.length,
  )
  for (const limit of card.limits) await expect(page.getByText(limit)).toBeVisible()
})

test("@phone an address that leads nowhere", async ({ page }) => {
  await page.goto("/drivers/nobody-at-all")
  await expect(page.getByRole("heading", { name: "There is no such driver" })).toBeVisible()
  await page.getByRole("link", { name: "Go to the next race" }).click()
  await expect(page).toHaveURL("/")
})
