import type { Page } from "@playwright/test"
import { signIn } from "./account.ts"

/** Every page and state of the app that is worth looking at, and how to get there. */
export const pages: Record<string, (page: Page) => Promise<void>> = {
  async browse(page) {
    await page.goto("/")
    await page.getByText(/^\d+ recipes$/).waitFor()
  },
  async search(page) {
    await page.goto("/?q=tomato")
    await page.getByText(/for “tomato”/).waitFor()
  },
  async recipe(page) {
    await openFirstRecipe(page)
  },
  async cooking(page) {
    await openFirstRecipe(page)
    await page.getByRole("button", { name: "Cooking mode" }).click()
    await page.getByRole("checkbox").first().check()
    await page.getByRole("heading", { name: "Method" }).evaluate((heading) => {
      heading.scrollIntoView()
    })
  },
  async "sign-in"(page) {
    await page.goto("/sign-in")
    await page.getByLabel("Username").waitFor()
  },
  async edit(page) {
    await signIn(page)
    await openFirstRecipe(page)
    await page.getByRole("link", { name: "Edit", exact: true }).click()
    await page.getByLabel("Title").waitFor()
  },
  async mistakes(page) {
    await signIn(page)
    await page.goto("/write")
    await page.getByRole("button", { name: "Publish recipe" }).click()
    await page.getByText("Give the recipe a title.").waitFor()
  },
  async delete(page) {
    await signIn(page)
    await openFirstRecipe(page)
    await page.getByRole("button", { name: "Delete" }).click()
    await page.getByRole("dialog").waitFor()
  },
  async empty(page) {
    await page.goto("/?q=pizza+hawaii")
    await page.getByText("Nothing on the menu").waitFor()
  },
  async "not-found"(page) {
    await page.goto("/nowhere")
    await page.getByText("off the menu").waitFor()
  },
  async error(page) {
    await page.route("**/api/recipes?*", (route) =>
      route.fulfill({ status: 500, json: { title: "Internal Server Error" } }),
    )
    await page.goto("/")
    await page.getByRole("alert").waitFor()
  },
}

async function openFirstRecipe(page: Page): Promise<void> {
  await page.goto("/?sort=title")
  await page.getByRole("listitem").getByRole("link").first().click()
  await page.getByRole("heading", { name: "Method" }).waitFor()
  await page.evaluate(() => {
    window.scrollTo(0, 0)
  })
}
