import { expect, test } from "@f1/frontend-kit/e2e"

test("@phone nothing found, and nothing at an address, lead on", async ({ page }) => {
  await page.goto("/?q=zzzzzz")
  await expect(page.getByRole("heading", { name: "Nothing on the menu for that" })).toBeVisible()
  await page.goto("/recipes/there-is-no-such-recipe")
  await expect(page.getByRole("heading", { name: "This page is off the menu" })).toBeVisible()
  await page.getByRole("link", { name: "See all recipes" }).click()
  await expect(page.getByText(/^\d+ recipes$/)).toBeVisible()
})

test("a server that fails is explained, and asked again", async ({ page }) => {
  let broken = true
  await page.route("**/api/recipes?*", (route) =>
    broken
      ? route.fulfill({
          status: 500,
          headers: { "X-Request-ID": "e2e-1" },
          contentType: "application/problem+json",
          body: JSON.stringify({ title: "Internal Server Error", status: 500 }),
        })
      : route.continue(),
  )
  await page.goto("/")
  await expect(page.getByRole("alert")).toContainText("The server has a problem")
  await expect(page.getByRole("alert")).toContainText("Reference: e2e-1")
  broken = false
  await page.getByRole("button", { name: "Try again" }).click()
  await expect(page.getByText(/^\d+ recipes$/)).toBeVisible()
})

test("a configuration that does not come is explained", async ({ page }) => {
  await page.route("**/config.json", (route) => route.fulfill({ status: 404, body: "" }))
  await page.goto("/")
  await expect(page.getByRole("alert")).toContainText("/config.json: the server answered 404")
  await page.unroute("**/config.json")
  await page.getByRole("button", { name: "Try again" }).click()
  await expect(page.getByText(/^\d+ recipes$/)).toBeVisible()
})

/** Runs in the page: the text that it keeps in IndexedDB under a key. */
const kept = (key: string) =>
  new Promise<string>((resolve, reject) => {
    const opening = indexedDB.open("keyval-store")
    opening.onerror = () => {
      reject(new Error("the page keeps nothing"))
    }
    // The store is the page's to make.
    opening.onupgradeneeded = () => opening.transaction?.abort()
    opening.onsuccess = () => {
      const database = opening.result
      const reading = database.transaction("keyval").objectStore("keyval").get(key)
      reading.onsuccess = () => {
        database.close()
        resolve(String(reading.result))
      }
    }
  })

test.describe("offline", () => {
  test.use({ serviceWorkers: "allow" })

  test("a recipe that was read is read again without a network, and the app starts without one", async ({
    page,
    context,
  }) => {
    await page.goto("/?sort=title")
    await page.evaluate(async () => {
      await navigator.serviceWorker.ready
    })
    const card = page.getByRole("listitem").getByRole("link").first()
    const title = (await card.textContent()) ?? ""
    await card.click()
    await expect(page.getByRole("heading", { level: 1, name: title })).toBeVisible()
    // The cache is written with a delay, so as not to write with every answer.
    const slug = new URL(page.url()).pathname.split("/").at(-1) ?? ""
    await expect.poll(() => page.evaluate(kept, "recipes")).toContain(`["recipe","${slug}"]`)
    // The worker that was installed just now controls the page from its next load on, and then keeps the configuration.
    await page.reload()
    await expect(page.getByRole("heading", { level: 1, name: title })).toBeVisible()

    await context.setOffline(true)
    await page.reload()
    await expect(page.getByRole("heading", { level: 1, name: title })).toBeVisible()
    await expect(page.getByText("You are offline.")).toBeVisible()

    await page
      .getByRole("searchbox")
      .or(page.getByRole("link", { name: "Al Dente, all recipes" }))
      .first()
      .click()
    await page.getByRole("searchbox").fill("something never searched for")
    await expect(page.getByRole("alert")).toContainText("No connection")
    await expect(
      page.getByRole("region", { name: "On this device" }).getByRole("link", { name: title }),
    ).toBeVisible()

    await context.setOffline(false)
    await page.getByRole("button", { name: "Try again" }).click()
    await expect(page.getByRole("heading", { name: "Nothing on the menu for that" })).toBeVisible()
    await expect(page.getByText("You are offline.")).toBeHidden()
  })
})
