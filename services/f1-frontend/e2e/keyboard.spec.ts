import { expect, test } from "@f1/frontend-kit/e2e"
import type { Locator, Page } from "@playwright/test"

/** Presses Tab until something has the focus. */
async function tabTo(page: Page, target: Locator): Promise<void> {
  await expect(target).toBeVisible()
  for (let presses = 0; presses < 60; presses++) {
    if (await target.evaluate((element) => element === document.activeElement)) return
    await page.keyboard.press("Tab")
  }
  throw new Error("60 presses of Tab did not get there")
}

test("everything can be done with a keyboard alone", async ({ page }) => {
  await page.goto("/")
  await expect(page.getByRole("heading", { level: 1 })).toBeVisible()

  await page.keyboard.press("Tab")
  await expect(page.getByRole("link", { name: "Skip to content" })).toBeFocused()
  await page.keyboard.press("Enter")

  const favourite = page.getByRole("button", { name: /podium/ }).first()
  await tabTo(page, favourite)
  await expect(favourite).toHaveCSS("outline-style", "solid")
  await page.keyboard.press("Enter")
  await expect(favourite).toHaveAttribute("aria-expanded", "true")
  await page.keyboard.press("Space")
  await expect(favourite).toHaveAttribute("aria-expanded", "false")

  await page.reload()
  await tabTo(page, page.getByRole("link", { name: "Drivers", exact: true }))
  await page.keyboard.press("Enter")
  await expect(page.getByRole("main")).toBeFocused()
  const byElo = page.getByRole("button", { name: /^ELO/ })
  await tabTo(page, byElo)
  await page.keyboard.press("Enter")
  await expect(page.getByRole("columnheader", { name: /^ELO/ })).toHaveAttribute("aria-sort", "descending")
  await page.keyboard.press("Enter")
  await expect(page.getByRole("columnheader", { name: /^ELO/ })).toHaveAttribute("aria-sort", "ascending")

  await page.reload()
  await tabTo(page, page.getByRole("link", { name: "ELO", exact: true }))
  await page.keyboard.press("Enter")
  const slider = page.getByRole("slider")
  await tabTo(page, slider)
  const before = await slider.getAttribute("aria-valuetext")
  await page.keyboard.press("ArrowLeft")
  await expect(slider).not.toHaveAttribute("aria-valuetext", before ?? "")
  await page.keyboard.press("Home")
  await expect(slider).toHaveAttribute("aria-valuetext", /^Round 1,/)
})
