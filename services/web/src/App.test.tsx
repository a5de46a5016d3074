import { fireEvent, render, screen, waitFor } from "@testing-library/react"
import { http, HttpResponse } from "msw"
import { clear, get } from "idb-keyval"
import { beforeEach, expect, test, vi } from "vitest"
import { App } from "./App.tsx"
import { gnocchi, kitchen, puttanesca, server } from "./testing/kitchen.tsx"

const config = {
  apiBaseUrl: "",
  environment: "production",
  version: "1.2.3",
  flags: { printView: false },
} as const

beforeEach(async () => {
  await clear()
  history.replaceState(null, "", "/")
})

/** Reads the recipe until it is kept, and leaves the app at its address. */
async function readPuttanesca() {
  history.replaceState(null, "", `/recipes/${puttanesca.slug}`)
  const first = render(<App config={config} />)
  await screen.findByRole("heading", { level: 1, name: puttanesca.title })
  await waitFor(async () => {
    expect(await get("recipes")).toContain(puttanesca.summary)
  })
  first.unmount()
}

test("a recipe that was read once is there without a network, and one that was not is not", async () => {
  await readPuttanesca()

  server.use(http.get("*/api/*", () => HttpResponse.error()))
  const second = render(<App config={config} />)
  expect(await screen.findByRole("heading", { level: 1, name: puttanesca.title })).toBeVisible()
  second.unmount()

  history.replaceState(null, "", `/recipes/${gnocchi.slug}`)
  render(<App config={config} />)
  expect(await screen.findByRole("alert", undefined, { timeout: 15_000 })).toHaveTextContent("No connection")
})

test("a recipe can be printed where the flag is on", async () => {
  history.replaceState(null, "", `/recipes/${puttanesca.slug}`)
  render(<App config={{ ...config, flags: { printView: true } }} />)
  const print = vi.spyOn(window, "print").mockReturnValue()
  fireEvent.click(await screen.findByRole("button", { name: "Print" }))
  expect(print).toHaveBeenCalledTimes(1)
  expect(screen.getByRole("article")).toHaveClass("printable")
})

test("calls the API that the configuration names", async () => {
  server.use(
    http.get("https://api.example.org/api/recipes", () =>
      HttpResponse.json({ items: [gnocchi], page: 1, page_size: 12, total: 1, pages: 1 }),
    ),
    http.get("https://api.example.org/api/tags", () => HttpResponse.json([])),
  )
  render(<App config={{ ...config, apiBaseUrl: "https://api.example.org" }} />)
  expect(await screen.findByText("1 recipe")).toBeInTheDocument()
})

test("a session that the API no longer takes ends", async () => {
  localStorage.setItem(
    "session",
    JSON.stringify({ token: "old", username: "nonna", expires: Date.now() + 60_000 }),
  )
  server.use(http.get("*/api/recipes", () => new HttpResponse(null, { status: 401 })))
  render(<App config={config} />)
  expect(await screen.findByRole("link", { name: "Sign in" })).toBeVisible()
})

test("after a reload, what was kept is shown and then asked for again", async () => {
  await readPuttanesca()

  Object.assign(kitchen.recipes[0] ?? {}, { title: "Puttanesca, better", version: 4 })
  render(<App config={config} />)
  expect(await screen.findByRole("heading", { level: 1, name: puttanesca.title })).toBeVisible()
  expect(await screen.findByRole("heading", { level: 1, name: "Puttanesca, better" })).toBeVisible()
})
