import { act, render, screen, waitFor } from "@testing-library/react"
import { userEvent } from "@testing-library/user-event"
import { focusManager } from "@tanstack/react-query"
import { describe, expect, it, vi } from "vitest"
import { useQueries } from "./api/queries.ts"
import { createQueryClient } from "./App.tsx"
import { Boundary } from "./components/Boundary.tsx"
import { answer, fail, open, withBackend } from "./testing/app.tsx"
import { nextRace } from "./testing/fixtures.ts"

withBackend()

describe("getting around", () => {
  it("goes from section to section, marks where one is, and takes focus to the page", async () => {
    open("/")
    await screen.findByRole("heading", { level: 1 })
    const scrolled = vi.spyOn(window, "scrollTo")
    await userEvent.click(screen.getByRole("link", { name: "Model card" }))
    expect(await screen.findByRole("heading", { level: 1, name: /model/i })).toBeInTheDocument()
    expect(screen.getByRole("link", { name: "Model card" })).toHaveAttribute("aria-current", "page")
    expect(screen.getByRole("main")).toHaveFocus()
    expect(scrolled).toHaveBeenCalledWith(0, 0)
  })

  it("has a link past the header first", async () => {
    open("/")
    await userEvent.tab()
    expect(screen.getByRole("link", { name: "Skip to content" })).toHaveFocus()
  })

  it("says when an address leads nowhere", async () => {
    open("/pits")
    expect(await screen.findByRole("heading", { name: "There is no such page" })).toBeInTheDocument()
    expect(screen.getByRole("link", { name: "Go to the next race" })).toHaveAttribute("href", "/")
  })

  it("changes the theme", async () => {
    open("/")
    await userEvent.click(screen.getByRole("radio", { name: "Dark" }))
    expect(document.documentElement.dataset.theme).toBe("dark")
  })
})

describe("when the network is not what it should be", () => {
  it("says that one is offline", () => {
    open("/")
    vi.spyOn(navigator, "onLine", "get").mockReturnValue(false)
    act(() => {
      window.dispatchEvent(new Event("offline"))
    })
    expect(screen.getByText(/You are offline/)).toBeVisible()
    vi.restoreAllMocks()
    act(() => {
      window.dispatchEvent(new Event("online"))
    })
    expect(screen.queryByText(/You are offline/)).toBeNull()
  })

  it("keeps the last answer when a new one cannot be had, says so, and tries again", async () => {
    open("/")
    await screen.findByRole("heading", { level: 1, name: /Swift/ })
    fail("/api/f1/races/next", 500, "Boom")
    vi.setSystemTime(Date.now() + 120_000)
    act(() => {
      focusManager.setFocused(false)
      focusManager.setFocused(true)
    })
    expect(await screen.findByText(/could not be updated just now/)).toBeVisible()
    expect(screen.getByRole("heading", { level: 1, name: /Swift/ })).toBeInTheDocument()
    answer("/api/f1/races/next", nextRace)
    await userEvent.click(screen.getByRole("button", { name: "Try again" }))
    await waitFor(() => {
      expect(screen.queryByText(/could not be updated just now/)).toBeNull()
    })
    focusManager.setFocused(undefined)
    vi.useRealTimers()
  })

  it("takes an answer without a body for a failure", async () => {
    answer("/api/f1/races/next", undefined, 204)
    open("/")
    expect(await screen.findByRole("alert")).toHaveTextContent("Something went wrong")
  })
})

describe("when a page breaks", () => {
  it("keeps the rest, and reloads on demand", async () => {
    vi.spyOn(console, "error").mockImplementation(() => undefined)
    const reload = vi.fn()
    vi.stubGlobal("location", { reload })
    const Broken = () => {
      throw new Error("chunk did not load")
    }
    render(
      <Boundary>
        <Broken />
      </Boundary>,
    )
    expect(screen.getByRole("alert")).toHaveTextContent("Something went wrong")
    await userEvent.click(screen.getByRole("button", { name: "Try again" }))
    expect(reload).toHaveBeenCalledOnce()
  })
})

it("questions need to know their backend", () => {
  vi.spyOn(console, "error").mockImplementation(() => undefined)
  const Lost = () => {
    useQueries()
    return null
  }
  expect(() => render(<Lost />)).toThrow("QueriesProvider")
})

it("answers stay fresh for a minute", () => {
  expect(createQueryClient().getDefaultOptions().queries?.staleTime).toBe(60_000)
})
