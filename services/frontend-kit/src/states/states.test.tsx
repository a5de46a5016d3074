import { act, render, screen } from "@testing-library/react"
import userEvent from "@testing-library/user-event"
import { expect, test, vi } from "vitest"
import { ApiError } from "../api.ts"
import { EmptyState, ErrorState, explain, Loading, OfflineBanner, Skeleton } from "./states.tsx"

const problem = (status: number) =>
  new ApiError("problem", "What the server says.", { status, requestId: "r-7" })

test.each([
  [new ApiError("network", ""), "No connection"],
  [new ApiError("timeout", ""), "This takes too long"],
  [problem(404), "Not found"],
  [problem(409), "That did not work"],
  [problem(429), "Too many requests"],
  [problem(500), "The server has a problem"],
  [new TypeError("x is undefined"), "Something went wrong"],
])("explains %s as %s", (error, heading) => {
  expect(explain(error).heading).toBe(heading)
})

test("internal messages are not shown, those of the server about a request are", () => {
  expect(explain(new TypeError("x is undefined")).text).not.toContain("x is undefined")
  expect(explain(problem(500)).text).not.toContain("What the server says")
  expect(explain(problem(409)).text).toBe("What the server says.")
})

test("an error is announced, has a reference and can be tried again", async () => {
  const retry = vi.fn()
  render(<ErrorState error={problem(500)} onRetry={retry} action={<a href="/">Home</a>} />)
  expect(screen.getByRole("alert")).toHaveTextContent("Reference: r-7")
  await userEvent.click(screen.getByRole("button", { name: "Try again" }))
  expect(retry).toHaveBeenCalledTimes(1)
  expect(screen.getByRole("link", { name: "Home" })).toBeVisible()
})

test("an error without a way to try again has no button", () => {
  render(<ErrorState error={new ApiError("network", "")} title="No list" />)
  expect(screen.getByRole("heading", { name: "No list" })).toBeVisible()
  expect(screen.queryByRole("button")).toBeNull()
  expect(screen.queryByText(/Reference/)).toBeNull()
})

test("an empty state says why and what to do", () => {
  render(
    <EmptyState title="Nothing here" art={<svg data-testid="art" />} action={<a href="/new">Add one</a>}>
      <p>Nobody has written any.</p>
    </EmptyState>,
  )
  expect(screen.getByRole("heading", { name: "Nothing here" })).toBeVisible()
  expect(screen.getByText("Nobody has written any.")).toBeVisible()
  expect(screen.getByRole("link", { name: "Add one" })).toBeVisible()
  expect(screen.getByTestId("art")).toBeInTheDocument()
})

test("an empty state can be a title alone", () => {
  const { container } = render(<EmptyState title="Nothing here" />)
  expect(container.querySelectorAll("div")).toHaveLength(0)
})

test("loading is announced, its skeletons are not", () => {
  const { container } = render(
    <Loading label="Loading races">
      <Skeleton className="tall" />
    </Loading>,
  )
  expect(screen.getByRole("status")).toHaveTextContent("Loading races…")
  expect(container.querySelector(".tall")).toHaveAttribute("aria-hidden", "true")
  render(<Loading />)
  expect(screen.getByText("Loading…")).toBeInTheDocument()
})

test("the offline banner comes and goes with the network", () => {
  const online = vi.spyOn(navigator, "onLine", "get").mockReturnValue(true)
  const { unmount } = render(<OfflineBanner>You are offline.</OfflineBanner>)
  expect(screen.queryByText("You are offline.")).toBeNull()
  online.mockReturnValue(false)
  act(() => {
    dispatchEvent(new Event("offline"))
  })
  expect(screen.getByRole("status")).toHaveTextContent("You are offline.")
  online.mockReturnValue(true)
  act(() => {
    dispatchEvent(new Event("online"))
  })
  expect(screen.queryByText("You are offline.")).toBeNull()
  unmount()
})

test("a state that is the whole page has its heading at the top level", () => {
  render(
    <>
      <EmptyState title="Nothing here" headingLevel={1} />
      <ErrorState error={problem(500)} headingLevel={1} />
    </>,
  )
  expect(screen.getAllByRole("heading", { level: 1 }).map((heading) => heading.textContent)).toEqual([
    "Nothing here",
    "The server has a problem",
  ])
})
