import { checkAccessibility, expect, test } from "@f1/frontend-kit/e2e"

const api = "**/api/f1/**"

test("@phone the backend is down: says so, and recovers on demand", async ({ page }) => {
  await page.route(api, (route) => route.fulfill({ status: 502, body: "Bad gateway" }))
  await page.goto("/")
  await expect(page.getByRole("heading", { name: "The server has a problem" })).toBeVisible({
    timeout: 15_000,
  })
  await expect(page.getByRole("navigation")).toBeVisible()
  await checkAccessibility(page)
  await page.unroute(api)
  await page.getByRole("button", { name: "Try again" }).click()
  await expect(page.getByRole("heading", { level: 1 })).toBeVisible()
})

test("the backend cannot be reached at all", async ({ page }) => {
  await page.route(api, (route) => route.abort())
  await page.goto("/performance")
  await expect(page.getByRole("heading", { name: "No connection" })).toBeVisible({ timeout: 15_000 })
})

test("no model is loaded: says what to run", async ({ page }) => {
  await page.route("**/api/f1/races/next", (route) =>
    route.fulfill({
      status: 503,
      contentType: "application/problem+json",
      json: { title: "Service Unavailable", status: 503, detail: "No model is loaded." },
    }),
  )
  await page.goto("/")
  await expect(page.getByRole("heading", { name: "The forecast is not available yet" })).toBeVisible({
    timeout: 15_000,
  })
  await expect(page.getByText("python -m f1 train")).toBeVisible()
})

test("nothing was ingested: says what to run", async ({ page }) => {
  await page.route("**/api/f1/seasons", (route) => route.fulfill({ json: [] }))
  await page.goto("/races")
  await expect(page.getByRole("heading", { name: "No races have been ingested yet" })).toBeVisible()
  await checkAccessibility(page)
})

test("@phone offline, what was opened stays readable", async ({ page, context }) => {
  await page.goto("/")
  const headline = page.getByRole("heading", { level: 1 })
  await expect(headline).toBeVisible()
  await page.getByRole("link", { name: "Drivers", exact: true }).click()
  await expect(page.getByRole("table")).toBeVisible()
  await context.setOffline(true)
  await expect(page.getByText("You are offline.")).toBeVisible()
  await page.getByRole("link", { name: "Next race" }).click()
  await expect(page.getByRole("figure", { name: /Chances to win/ })).toBeVisible()
  await context.setOffline(false)
  await expect(page.getByText("You are offline.")).toBeHidden()
})
