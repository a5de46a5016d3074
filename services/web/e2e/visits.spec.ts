import { expect, test } from "@f1/frontend-kit/e2e"

const release = "0123456789".repeat(4)

test("a page of a release tells that it is shown, the first failure, and how fast it was", async ({
  page,
}) => {
  await page.route("**/?sort=title", async (route) => {
    const response = await route.fetch()
    // As the edge does.
    const headers = { ...response.headers(), "server-timing": `release;desc="${release}"` }
    await route.fulfill({ response, headers })
  })
  const told: unknown[] = []
  const statuses: number[] = []
  page.on("response", (response) => {
    if (!response.url().endsWith("/api/visits")) return
    told.push(response.request().postDataJSON())
    statuses.push(response.status())
  })
  await page.goto("/?sort=title")
  await expect.poll(() => told).toEqual([{ release, event: "view" }])

  await page.evaluate(() => {
    for (const message of ["one", "two"]) window.dispatchEvent(new ErrorEvent("error", { message }))
  })
  await expect.poll(() => told.slice(1)).toEqual([{ release, event: "failure" }])

  await page.evaluate(() => {
    Object.defineProperty(document, "visibilityState", { get: () => "hidden" })
    document.dispatchEvent(new Event("visibilitychange", { bubbles: true }))
  })
  await expect
    .poll(() => told.slice(2))
    .toEqual([
      {
        release,
        event: "vitals",
        vitals: { LCP: expect.any(String) as unknown, CLS: expect.any(String) as unknown },
      },
    ])
  expect(statuses).toEqual([204, 204, 204])
})

test("a page of no release tells nothing", async ({ page }) => {
  const told: string[] = []
  page.on("request", (request) => {
    if (request.url().endsWith("/api/visits")) told.push(request.url())
  })
  await page.goto("/?sort=title")
  await page.getByRole("heading", { level: 1 }).waitFor()
  await page.evaluate(() => window.dispatchEvent(new ErrorEvent("error", { message: "one" })))
  expect(told).toEqual([])
})
