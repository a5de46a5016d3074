import { act, render, screen } from "@testing-library/react"
import userEvent from "@testing-library/user-event"
import { expect, test, vi } from "vitest"
import { setMatchingMedia } from "../../testing/setup.ts"
import { ThemeProvider, ThemeToggle, useTheme } from "./theme.tsx"

const shown = () => document.documentElement.dataset.theme

function start() {
  render(
    <ThemeProvider>
      <ThemeToggle />
    </ThemeProvider>,
  )
}

test("follows the system, also when it changes", () => {
  start()
  expect(shown()).toBe("light")
  expect(screen.getByRole("radio", { name: "Same as device" })).toBeChecked()
  act(() => {
    setMatchingMedia("(prefers-color-scheme: dark)")
  })
  expect(shown()).toBe("dark")
})

test("keeps a choice", async () => {
  start()
  await userEvent.click(screen.getByRole("radio", { name: "Dark" }))
  expect(shown()).toBe("dark")
  expect(localStorage.getItem("theme")).toBe("dark")
})

test("starts with the choice that was kept, whatever the system", () => {
  localStorage.setItem("theme", "light")
  setMatchingMedia("(prefers-color-scheme: dark)")
  start()
  expect(shown()).toBe("light")
  expect(screen.getByRole("radio", { name: "Light" })).toBeChecked()
})

test("works without storage", async () => {
  const closed = () => {
    throw new DOMException("closed", "SecurityError")
  }
  vi.spyOn(Storage.prototype, "getItem").mockImplementation(closed)
  vi.spyOn(Storage.prototype, "setItem").mockImplementation(closed)
  start()
  await userEvent.click(screen.getByRole("radio", { name: "Dark" }))
  expect(shown()).toBe("dark")
})

test("is changed with the keyboard", async () => {
  start()
  await userEvent.tab()
  expect(screen.getByRole("radio", { name: "Same as device" })).toHaveFocus()
  await userEvent.keyboard("{ArrowLeft}")
  expect(shown()).toBe("dark")
})

test("useTheme needs its provider", () => {
  vi.spyOn(console, "error").mockImplementation(() => undefined)
  function Lost() {
    useTheme()
    return null
  }
  expect(() => render(<Lost />)).toThrow("ThemeProvider")
})
