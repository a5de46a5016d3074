import { checkAccessibility, expect, setTheme, test } from "@f1/frontend-kit/e2e"
import { allPages, Platform } from "./platform.ts"

const names = "next races race performance drivers driver constructors constructor elo model not-found".split(
  " ",
)

for (const theme of ["light", "dark"] as const) {
  for (const name of names) {
    test(`@phone ${name} is accessible and fits the screen in ${theme}`, async ({ page, request }) => {
      const address = (await allPages(new Platform(request)))[name] ?? ""
      await setTheme(page, theme)
      await page.goto(address)
      await expect(page.getByRole("main").getByRole("heading").first()).toBeVisible()
      await expect(page.getByRole("status").filter({ hasText: /Loading/ })).toHaveCount(0)
      await checkAccessibility(page)
      const overflow = await page.evaluate(
        () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
      )
      expect(overflow, "pixels of sideways scrolling").toBeLessThanOrEqual(0)
    })
  }

  test(`what opens is accessible too in ${theme}`, async ({ page }) => {
    await setTheme(page, theme)
    await page.goto("/")
    await page
      .getByRole("button", { name: /podium/ })
      .first()
      .click()
    await expect(page.getByText(/chance ×/).first()).toBeVisible()
    await checkAccessibility(page)
    await page.getByRole("button", { name: "Show as table" }).click()
    await expect(page.getByRole("table")).toBeVisible()
    await checkAccessibility(page)
  })
}

test("the dark theme follows the device until one is chosen, and the choice stays", async ({ page }) => {
  const background = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor)
  await page.emulateMedia({ colorScheme: "dark" })
  await page.goto("/")
  await expect(page.getByRole("heading", { level: 1 })).toBeVisible()
  const dark = await background()
  await page.getByRole("radio", { name: "Light" }).check({ force: true })
  await expect.poll(background).not.toBe(dark)
  await page.reload()
  await expect(page.getByRole("radio", { name: "Light" })).toBeChecked()
  expect(await background()).not.toBe(dark)
})
