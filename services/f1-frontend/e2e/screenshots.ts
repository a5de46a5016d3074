import { expect, setTheme, test } from "@f1/frontend-kit/e2e"
import type { Page } from "@playwright/test"
import { join } from "node:path"
import sharp from "sharp"
import { allPages, Platform } from "./platform.ts"

const folder = join(import.meta.dirname, "../docs")
const names = "next races race performance drivers driver constructors constructor elo model error".split(" ")
const MOST_PIXELS = { desktop: 1700, phone: 1800 }

async function show(page: Page, name: string, address: string): Promise<void> {
  if (name === "error") await page.route("**/api/f1/**", (route) => route.fulfill({ status: 500, json: {} }))
  await page.goto(address, { waitUntil: "networkidle" })
  if (name === "error") await page.getByRole("alert").waitFor()
  else await expect(page.getByRole("heading", { level: 1 })).toBeVisible()
  if (name === "next")
    await page
      .getByRole("button", { name: /podium/ })
      .first()
      .click()
  await page.mouse.move(0, 0)
  await page.evaluate(() => document.fonts.ready)
}

for (const name of names) {
  for (const theme of ["light", "dark"] as const) {
    test(`@phone ${name} ${theme}`, async ({ page, request }, { project }) => {
      await setTheme(page, theme)
      await show(page, name, (await allPages(new Platform(request)))[name] ?? "/")
      const { width, height } = await page.evaluate(() => ({
        width: document.documentElement.clientWidth,
        height: document.documentElement.scrollHeight,
      }))
      const most = project.name === "phone" ? MOST_PIXELS.phone : MOST_PIXELS.desktop
      const picture = await page.screenshot({
        scale: "css",
        fullPage: true,
        clip: { x: 0, y: 0, width, height: Math.min(height, most) },
      })
      await sharp(picture)
        .png({ palette: true, colours: 96, effort: 10 })
        .toFile(join(folder, `${name}-${theme}-${project.name}.png`))
    })
  }
}
