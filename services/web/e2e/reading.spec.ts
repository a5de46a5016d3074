import { expect, setTheme, test } from "@f1/frontend-kit/e2e"

test("@phone browse, search, narrow, read", async ({ page }) => {
  await page.goto("/")
  await expect(page.getByText(/^\d+ recipes$/)).toBeVisible()
  await page.getByRole("searchbox", { name: "Search recipes" }).fill("tomato")
  await expect(page).toHaveURL(/\?q=tomato$/)
  await expect(page.getByText(/recipes? for “tomato”/)).toBeVisible()

  await page.getByRole("group", { name: "Filter by tag" }).getByRole("button").first().click()
  await expect(page).toHaveURL(/\?q=tomato&tag=/)
  await expect(page.locator("[aria-busy=false]")).toBeVisible()
  const card = page.getByRole("listitem").getByRole("heading").first()
  const title = (await card.textContent()) ?? ""
  await card.click()
  await expect(page.getByRole("heading", { level: 1, name: title })).toBeVisible()
  await expect(page.getByRole("main")).toBeFocused()
  await expect(page).toHaveTitle(`${title} · Al Dente`)

  await page.goBack()
  await expect(page.getByRole("searchbox")).toHaveValue("tomato")
})

test("@phone pages through the list, each page with an address of its own", async ({ page }) => {
  await page.goto("/?sort=title")
  const first = page.getByRole("listitem").getByRole("heading").first()
  const title = (await first.textContent()) ?? ""
  await page.getByRole("link", { name: "Next" }).click()
  await expect(page).toHaveURL(/sort=title&page=2/)
  await expect(first).not.toHaveText(title)
  await page.reload()
  await expect(page.getByRole("link", { name: "Page 2" })).toHaveAttribute("aria-current", "page")
})

test("@phone cooks: scales, checks off, keeps both over a reload's worth", async ({ page }) => {
  await page.goto("/?sort=title")
  await page.getByRole("listitem").getByRole("link").first().click()
  const amount = page.locator(".quantity").first()
  const before = (await amount.textContent()) ?? ""
  await page.getByRole("button", { name: "One serving more" }).click()
  await expect(amount).not.toHaveText(before)

  const step = page.getByRole("checkbox").first()
  await step.check()
  await page.getByRole("button", { name: "Cooking mode" }).click()
  await expect(page.getByText(/^Large text\./)).toBeVisible()
  await page.reload()
  await expect(step).toBeChecked()
})

test("works with the keyboard alone", async ({ page }) => {
  await page.goto("/")
  await expect(page.getByText(/^\d+ recipes$/)).toBeVisible()
  await page.keyboard.press("Tab")
  await expect(page.getByRole("link", { name: "Skip to content" })).toBeFocused()
  await page.keyboard.press("Enter")
  await page.keyboard.press("Tab")
  await expect(page.getByRole("searchbox")).toBeFocused()
  await page.keyboard.type("lemon")
  await expect(page).toHaveURL(/q=lemon/)
  await expect(page.getByText(/for “lemon”/)).toBeVisible()
  const link = page.getByRole("listitem").getByRole("link").first()
  for (let presses = 0; presses < 40; presses++) {
    await page.keyboard.press("Tab")
    if (await link.evaluate((element) => element === document.activeElement)) break
  }
  await expect(link).toBeFocused()
  await page.keyboard.press("Enter")
  await expect(page).toHaveURL(/\/recipes\//)
})

test("a chosen theme is there before the page is, and stays", async ({ page }) => {
  await page.emulateMedia({ colorScheme: "light" })
  await page.goto("/")
  await page.getByRole("radio", { name: "Dark" }).check({ force: true })
  await expect(page.locator("html")).toHaveAttribute("data-theme", "dark")
  // Before the app has started: its configuration does not come.
  await page.route("**/config.json", () => undefined)
  await page.reload({ waitUntil: "commit" })
  await expect(page.locator("html")).toHaveAttribute("data-theme", "dark")
})

test("follows the device unless told otherwise", async ({ page }) => {
  await page.emulateMedia({ colorScheme: "dark" })
  await page.goto("/")
  await expect(page.locator("html")).toHaveAttribute("data-theme", "dark")
  await page.emulateMedia({ colorScheme: "light" })
  await expect(page.locator("html")).toHaveAttribute("data-theme", "light")
})

test("@phone nothing is wider than the screen", async ({ page }) => {
  for (const path of ["/", "/?q=tomato", "/sign-in", "/nowhere"]) {
    await page.goto(path)
    await expect(page.getByRole("heading").first()).toBeAttached()
    const overflow = await page.evaluate(
      () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
    )
    expect(overflow, path).toBe(0)
  }
})

test("the browser finds nothing that the content security policy forbids", async ({ page }) => {
  const complaints: string[] = []
  page.on("console", (message) => {
    if (message.type() === "error") complaints.push(message.text())
  })
  page.on("pageerror", (error) => complaints.push(error.message))
  await setTheme(page, "dark")
  await page.goto("/")
  await page.getByRole("listitem").getByRole("link").first().click()
  await page.getByRole("button", { name: "One serving more" }).click()
  await page.goto("/sign-in")
  await expect(page.getByLabel("Username")).toBeVisible()
  expect(complaints).toEqual([])
})
