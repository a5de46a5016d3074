import { expect, test, type Page } from "@playwright/test"

const release = "0123456789".repeat(4)

/** What a page tells the backend, in order, and what the backend answers. */
function listen(page: Page, path: string) {
  const told: unknown[] = []
  const statuses: number[] = []
  page.on("request", (request) => {
    if (new URL(request.url()).pathname === path) told.push(request.postDataJSON())
  })
  page.on("response", (response) => {
    if (new URL(response.url()).pathname === path) statuses.push(response.status())
  })
  return { told, statuses }
}

/**
 * Registers tests of what an app tells of its pages. One call in an app's e2e folder.
 *
 * @param path where the backend takes it, such as /api/visits
 */
export function describeVisits(path: string): void {
  test.describe("visits", () => {
    test("a page of a release tells that it is shown, the first failure, and how fast it was", async ({
      page,
    }) => {
      await page.route(
        ({ pathname }) => pathname === "/",
        async (route) => {
          const response = await route.fetch()
          // As the edge does.
          const headers = { ...response.headers(), "server-timing": `release;desc="${release}"` }
          await route.fulfill({ response, headers })
        },
      )
      const { told, statuses } = listen(page, path)
      await page.goto("/")
      await expect(page.getByRole("heading", { level: 1 })).toBeVisible()
      await expect.poll(() => told).toEqual([{ release, event: "view" }])

      await page.evaluate(() => {
        for (const message of ["one", "two"]) window.dispatchEvent(new ErrorEvent("error", { message }))
      })
      await expect.poll(() => told.slice(1)).toEqual([{ release, event: "failure" }])

      await page.evaluate(
        () =>
          new Promise<void>((resolve) => {
            new PerformanceObserver(() => {
              resolve()
            }).observe({ type: "largest-contentful-paint", buffered: true })
          }),
      )
      // From the first key on, nothing counts as the largest paint any longer. A page cannot be hidden here but by itself.
      await page.keyboard.press("Tab")
      await page.evaluate(() => {
        Object.defineProperty(document, "visibilityState", { get: () => "hidden" })
        document.dispatchEvent(new Event("visibilitychange", { bubbles: true }))
      })
      const rating = expect.stringMatching(/^(good|needs-improvement|poor)$/) as unknown
      await expect
        .poll(() => told.slice(2))
        .toEqual([
          {
            release,
            event: "vitals",
            vitals: expect.objectContaining({ LCP: rating, CLS: rating }) as unknown,
          },
        ])
      await expect.poll(() => statuses).toEqual([204, 204, 204])
    })

    test("a page of no release tells nothing", async ({ page }) => {
      const { told } = listen(page, path)
      await page.goto("/")
      await expect(page.getByRole("heading", { level: 1 })).toBeVisible()
      await page.evaluate(() => window.dispatchEvent(new ErrorEvent("error", { message: "one" })))
      expect(told).toEqual([])
    })
  })
}
