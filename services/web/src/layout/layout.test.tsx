import { render, screen } from "@testing-library/react"
import { beforeEach, expect, test, vi } from "vitest"
import { createMemoryRouter, RouterProvider } from "react-router"
import { open } from "../testing/kitchen.tsx"
import { serviceWorker } from "../testing/serviceWorker.ts"
import { FailurePage } from "./FailurePage.tsx"

beforeEach(() => {
  serviceWorker.waiting = false
})

test("an unknown address is off the menu, and leads back", async () => {
  const { user } = open("/pizza")
  expect(screen.getByRole("heading", { name: "This page is off the menu" })).toBeVisible()
  expect(document.title).toBe("Not found · Al Dente")
  await user.click(screen.getByRole("link", { name: "See all recipes" }))
  expect(await screen.findByText("2 recipes")).toBeInTheDocument()
})

test("a new version is offered, and used when wanted", async () => {
  serviceWorker.waiting = true
  const { user } = open("/")
  expect(screen.getByText("There is a new version of Al Dente.")).toBeVisible()
  await user.click(screen.getByRole("button", { name: "Use it" }))
  expect(serviceWorker.update).toHaveBeenCalledWith(true)
})

test("a new version can wait", async () => {
  serviceWorker.waiting = true
  const { user } = open("/")
  await user.click(screen.getByRole("button", { name: "Later" }))
  expect(screen.queryByText("There is a new version of Al Dente.")).toBeNull()
})

test("a page that throws is replaced by words and a way on", () => {
  vi.spyOn(console, "error").mockImplementation(() => undefined)
  const reload = vi.fn()
  vi.stubGlobal("location", { href: location.href, reload })
  function Broken(): never {
    throw new Error("broken")
  }
  const router = createMemoryRouter([{ path: "/", Component: Broken, ErrorBoundary: FailurePage }])
  render(<RouterProvider router={router} />)
  expect(screen.getByRole("alert")).toHaveTextContent("Something went wrong")
  screen.getByRole("button", { name: "Try again" }).click()
  expect(reload).toHaveBeenCalledTimes(1)
})
