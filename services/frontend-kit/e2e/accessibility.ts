import AxeBuilder from "@axe-core/playwright"
import { expect, test, type Page } from "@playwright/test"

export { expect, test }

const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]

/** Fails on any violation that axe finds on the page as it is now, naming rule, elements and reason. */
export async function checkAccessibility(page: Page): Promise<void> {
  const { violations } = await new AxeBuilder({ page }).withTags(tags).analyze()
  const found = violations.map(({ id, help, nodes }) => ({
    rule: `${id}: ${help}`,
    where: nodes.map((node) => `${node.target.join(" ")}: ${node.failureSummary ?? ""}`),
  }))
  expect(found, `accessibility of ${page.url()}`).toEqual([])
}

/** Has the app start in a theme, as if a person had chosen it. Call it before the first `goto`. */
export async function setTheme(page: Page, theme: "light" | "dark"): Promise<void> {
  await page.addInitScript((choice) => {
    localStorage.setItem("theme", choice)
  }, theme)
}
