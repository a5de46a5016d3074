import { setTheme, test } from "@f1/frontend-kit/e2e"
import { join } from "node:path"
import sharp from "sharp"
import { pages } from "./pages.ts"

for (const [name, open] of Object.entries(pages)) {
  for (const theme of ["light", "dark"] as const) {
    test(`@phone ${name} ${theme}`, async ({ page }, { project }) => {
      await setTheme(page, theme)
      await open(page)
      await page.evaluate(() => document.fonts.ready)
      await sharp(await page.screenshot({ scale: "css" }))
        .png({ palette: true, colours: 128, effort: 10 })
        .toFile(join(import.meta.dirname, `../docs/${name}-${theme}-${project.name}.png`))
    })
  }
}
