import { act, screen } from "@testing-library/react"
import userEvent from "@testing-library/user-event"
import { afterEach, beforeEach, expect, test, vi } from "vitest"
import { startApp } from "./startApp.tsx"

beforeEach(() => {
  document.body.innerHTML = '<div id="root"></div>'
})
afterEach(() => {
  document.body.innerHTML = ""
})

function configured(body: unknown) {
  vi.stubGlobal("fetch", () => Promise.resolve(Response.json(body)))
}

test("renders the app with the configuration", async () => {
  configured({ apiBaseUrl: "", environment: "production", version: "1.2.3" })
  await act(() => startApp({}, ({ environment }) => <p>Runs in {environment}</p>, { visits: "/api/visits" }))
  expect(await screen.findByText("Runs in production")).toBeVisible()
  expect(document.documentElement.dataset.version).toBe("1.2.3")
})

test("says what is wrong with the configuration, and offers to try again", async () => {
  configured({ apiBaseUrl: "", environment: "moon", version: "1" })
  const reload = vi.fn()
  vi.stubGlobal("location", { href: location.href, reload })
  await act(() => startApp({}, () => <p>App</p>, { visits: "/api/visits" }))
  expect(await screen.findByRole("heading", { name: "The app cannot start" })).toBeVisible()
  expect(screen.getByRole("alert")).toHaveTextContent(/environment/)
  await userEvent.click(screen.getByRole("button", { name: "Try again" }))
  expect(reload).toHaveBeenCalledTimes(1)
})

test("refuses a page without a root", async () => {
  document.body.innerHTML = ""
  await expect(startApp({}, () => null, { visits: "/api/visits" })).rejects.toThrow("root")
})
