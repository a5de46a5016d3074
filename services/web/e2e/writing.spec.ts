import { expect, test } from "@f1/frontend-kit/e2e"
import { signIn } from "./account.ts"

test("@phone sign in, write, edit, delete", async ({ page }, { project }) => {
  const title = `Pasta for testing ${project.name} ${Date.now()}`
  await signIn(page)
  await page.getByRole("link", { name: /^Write/ }).click()
  await page.getByLabel("Title").fill(title)
  await page.getByLabel("Summary").fill("Written by a browser that cannot taste it.")
  await page.getByLabel("Minutes").fill("20")
  await page.getByLabel("Tags", { exact: true }).fill("Browser test")
  await page.getByLabel("Ingredient 1", { exact: true }).fill("spaghetti")
  await page.getByLabel("Quantity of ingredient 2").fill("1 1/2 tbsp")
  await page.getByLabel("Ingredient 2", { exact: true }).fill("olive oil")
  await page.getByLabel("Step 1", { exact: true }).fill("Boil.")
  await page.getByRole("button", { name: "Add a step" }).click()
  await page.keyboard.type("Toss.")
  await page.getByRole("button", { name: "Publish recipe" }).click()

  await expect(page.getByRole("heading", { level: 1, name: title })).toBeVisible()
  await expect(page.getByRole("link", { name: "browser-test" })).toBeVisible()
  await expect(page.getByText("1 1/2 tbsp")).toBeVisible()
  await expect(page.getByRole("checkbox")).toHaveCount(2)

  await page.getByRole("link", { name: "Edit", exact: true }).click()
  await expect(page.getByLabel("Title")).toHaveValue(title)
  await page.getByLabel("Title").fill(`${title}, better`)
  await page.getByRole("button", { name: "Remove step 2" }).click()
  await page.getByRole("button", { name: "Save changes" }).click()
  await expect(page.getByRole("heading", { level: 1, name: `${title}, better` })).toBeVisible()
  await expect(page.getByRole("checkbox")).toHaveCount(1)

  await page.goto(`/?q=${encodeURIComponent(title)}`)
  await page.getByRole("link", { name: `${title}, better` }).click()
  await expect(page.getByRole("heading", { level: 1, name: `${title}, better` })).toBeVisible()
  await page.getByRole("button", { name: "Delete" }).click()
  await page.getByRole("button", { name: "Delete recipe" }).click()
  await expect(page).toHaveURL("/")
  await page.goto(`/?q=${encodeURIComponent(title)}`)
  await expect(page.getByRole("heading", { name: "Nothing on the menu for that" })).toBeVisible()
})

test("two people edit the same recipe: the second is told, and nothing is lost", async ({
  page,
  context,
}) => {
  const title = `Pasta for two ${Date.now()}`
  await signIn(page)
  await page.goto("/write")
  await page.getByLabel("Title").fill(title)
  await page.getByLabel("Summary").fill("First.")
  await page.getByLabel("Ingredient 1", { exact: true }).fill("spaghetti")
  await page.getByRole("button", { name: "Remove ingredient 2" }).click()
  await page.getByLabel("Step 1", { exact: true }).fill("Boil.")
  await page.getByRole("button", { name: "Publish recipe" }).click()
  await page.getByRole("link", { name: "Edit", exact: true }).click()
  await page.getByLabel("Title").fill(`${title}, mine`)

  const other = await context.newPage()
  await other.goto(page.url())
  await other.getByLabel("Summary").fill("Theirs.")
  await other.getByRole("button", { name: "Save changes" }).click()
  await expect(other.getByText("Theirs.")).toBeVisible()

  await page.getByRole("button", { name: "Save changes" }).click()
  await expect(page.getByRole("alert")).toContainText("They changed the summary.")
  await page.getByRole("button", { name: "Keep my text" }).click()
  await page.getByRole("button", { name: "Save changes" }).click()
  await expect(page.getByRole("heading", { level: 1, name: `${title}, mine` })).toBeVisible()
  await expect(page.getByText("First.")).toBeVisible()

  await page.getByRole("button", { name: "Delete" }).click()
  await page.getByRole("button", { name: "Delete recipe" }).click()
  await expect(page).toHaveURL("/")
})

test("a wrong password is refused", async ({ page }) => {
  await page.goto("/sign-in")
  await page.getByLabel("Username").fill("nobody")
  await page.getByLabel("Password").fill("wrong password")
  await page.getByRole("button", { name: "Sign in" }).click()
  await expect(page.getByRole("alert")).toHaveText("The username or the password is wrong.")
})

test("leaving unsaved changes is asked about", async ({ page }) => {
  await signIn(page)
  await page.goto("/write")
  await page.getByLabel("Title").fill("Half a thought")
  await page.getByRole("link", { name: "Cancel" }).click()
  await page
    .getByRole("dialog", { name: "Leave without saving?" })
    .getByRole("button", { name: "Keep writing" })
    .click()
  await expect(page.getByLabel("Title")).toHaveValue("Half a thought")
  await page.getByRole("link", { name: "Cancel" }).click()
  await page.getByRole("button", { name: "Leave" }).click()
  await expect(page).toHaveURL("/")
})
