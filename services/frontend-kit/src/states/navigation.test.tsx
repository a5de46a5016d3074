import { render, screen } from "@testing-library/react"
import userEvent from "@testing-library/user-event"
import { createMemoryRouter, Link, Outlet, RouterProvider } from "react-router"
import { expect, test } from "vitest"
import { mainId, SkipLink, useRouteFocus } from "./navigation.tsx"

function Layout() {
  useRouteFocus()
  return (
    <>
      <SkipLink />
      <Link to="/other">Other</Link>
      <Link to="?page=2">Page 2</Link>
      <main id={mainId}>
        <Outlet />
      </main>
    </>
  )
}

function start() {
  const routes = [{ Component: Layout, children: [{ path: "*", element: <h1>Page</h1> }] }]
  render(<RouterProvider router={createMemoryRouter(routes)} />)
}

test("a new path moves focus to the main element", async () => {
  start()
  expect(screen.getByRole("main")).not.toHaveFocus()
  await userEvent.click(screen.getByRole("link", { name: "Other" }))
  expect(screen.getByRole("main")).toHaveFocus()
})

test("a new query leaves focus where it is", async () => {
  start()
  const link = screen.getByRole("link", { name: "Page 2" })
  await userEvent.click(link)
  expect(link).toHaveFocus()
})

test("the skip link is first and leads to the main element", async () => {
  start()
  await userEvent.tab()
  expect(screen.getByRole("link", { name: "Skip to content" })).toHaveFocus()
  expect(screen.getByRole("link", { name: "Skip to content" })).toHaveAttribute("href", "#main")
})
