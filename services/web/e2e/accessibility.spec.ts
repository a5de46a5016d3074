import { checkAccessibility, setTheme, test } from "@f1/frontend-kit/e2e"
import { pages } from "./pages.ts"

for (const [name, open] of Object.entries(pages)) {
  for (const theme of ["light", "dark"] as const) {
    test(`@phone ${name}, ${theme}`, async ({ page }) => {
      await setTheme(page, theme)
      await open(page)
      await checkAccessibility(page)
    })
  }
}
