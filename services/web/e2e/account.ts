import { expect, type Page } from "@playwright/test"

/** The editor's account, from E2E_USERNAME and E2E_PASSWORD. Throws when they are not set. */
export function editorAccount(): { username: string; password: string } {
  const { E2E_USERNAME: username, E2E_PASSWORD: password } = process.env
  if (!username || !password) {
    throw new Error("E2E_USERNAME and E2E_PASSWORD are not set: give the account of an editor of the recipes")
  }
  return { username, password }
}

/** Signs in through the page, as a person does. */
export async function signIn(page: Page): Promise<void> {
  const { username, password } = editorAccount()
  await page.goto("/sign-in")
  await page.getByLabel("Username").fill(username)
  await page.getByLabel("Password").fill(password)
  await page.getByRole("button", { name: "Sign in" }).click()
  await expect(page.getByRole("button", { name: "Sign out" })).toBeVisible()
}
