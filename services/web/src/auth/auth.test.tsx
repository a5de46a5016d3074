import { act, screen, waitFor } from "@testing-library/react"
import { expect, test, vi } from "vitest"
import { http } from "msw"
import { open, problem, server, signInAsEditor } from "../testing/kitchen.tsx"
import { currentSession } from "./session.ts"

async function fillIn(user: ReturnType<typeof open>["user"], password: string) {
  await user.type(await screen.findByLabelText("Username"), "nonna")
  await user.type(screen.getByLabelText("Password"), password)
  await user.click(screen.getByRole("button", { name: "Sign in" }))
}

test("signing in leads to the recipes and to writing", async () => {
  const { user, router } = open("/")
  await user.click(screen.getByRole("link", { name: "Sign in" }))
  await fillIn(user, "al dente")
  await waitFor(() => {
    expect(router.state.location.pathname).toBe("/")
  })
  expect(screen.getByRole("link", { name: /Write/ })).toBeVisible()
  expect(currentSession()).toMatchObject({ token: "good", username: "nonna" })
})

test("a wrong password says so, and keeps what was typed", async () => {
  const { user } = open("/sign-in")
  await fillIn(user, "soggy")
  expect(await screen.findByRole("alert")).toHaveTextContent("The username or the password is wrong.")
  expect(screen.getByLabelText("Username")).toHaveValue("nonna")
  expect(currentSession()).toBeNull()
})

test.each([
  [422, "The username or the password is wrong."],
  [429, "Please wait a moment, then try again."],
  [500, "It is not your fault. Try again in a moment."],
])("an answer of %i says: %s", async (status, text) => {
  server.use(http.post("*/api/auth/token", () => problem(status, "detail")))
  const { user } = open("/sign-in")
  await fillIn(user, "al dente")
  expect(await screen.findByRole("alert")).toHaveTextContent(text)
})

test("whoever wants to write signs in first, and then writes", async () => {
  const { user } = open("/write")
  expect(await screen.findByRole("heading", { name: "Sign in" })).toBeVisible()
  await fillIn(user, "al dente")
  expect(await screen.findByRole("heading", { name: "Write a recipe" })).toBeVisible()
})

test("who is signed in already is not asked again", async () => {
  signInAsEditor()
  const { router } = open("/sign-in")
  await waitFor(() => {
    expect(router.state.location.pathname).toBe("/")
  })
})

test("signing out ends the session", async () => {
  signInAsEditor()
  const { user } = open("/")
  await user.click(screen.getByRole("button", { name: "Sign out nonna" }))
  expect(screen.getByRole("link", { name: "Sign in" })).toBeVisible()
  expect(localStorage.getItem("session")).toBeNull()
})

test("signing out in another tab is noticed here", () => {
  signInAsEditor()
  open("/")
  localStorage.clear()
  act(() => {
    dispatchEvent(new StorageEvent("storage", { key: "session" }))
  })
  expect(screen.getByRole("link", { name: "Sign in" })).toBeVisible()
})

test("a session ends with its time", () => {
  signInAsEditor()
  expect(currentSession()).not.toBeNull()
  vi.spyOn(Date, "now").mockReturnValue(Date.now() + 3_600_001)
  expect(currentSession()).toBeNull()
})

test.each(["no json", "{}", '{"token":1,"username":"a","expires":1}'])(
  "a stored session of %s is none",
  (text) => {
    localStorage.setItem("session", text)
    expect(currentSession()).toBeNull()
  },
)
