import { createApi, ThemeProvider } from "@f1/frontend-kit"
import { startServer } from "@f1/frontend-kit/testing"
import { QueryClientProvider } from "@tanstack/react-query"
import { render } from "@testing-library/react"
import userEvent from "@testing-library/user-event"
import { http, HttpResponse } from "msw"
import { createMemoryRouter, RouterProvider, type InitialEntry } from "react-router"
import { ApiContext, type Recipe, type RecipeInput, type RecipeSummary } from "../api/api.tsx"
import type { paths } from "../api/schema.ts"
import { currentSession, endSession, startSession } from "../auth/session.ts"
import { createQueryClient } from "../queryClient.ts"
import { routes } from "../routes.tsx"

export const puttanesca: Recipe = {
  slug: "spaghetti-alla-puttanesca",
  title: "Spaghetti alla puttanesca",
  summary: "Tomatoes, olives, capers and anchovies.",
  photo_url: null,
  tags: ["quick", "fish"],
  minutes: 25,
  servings: 4,
  updated_at: "2026-03-03T10:00:00Z",
  ingredients: [
    { quantity: "400 g", name: "spaghetti" },
    { quantity: "1/2 tsp", name: "chilli flakes" },
    { quantity: null, name: "parsley" },
  ],
  steps: ["Boil the spaghetti.", "Make the sauce.", "Toss both together."],
  author: "nonna",
  created_at: "2026-03-01T10:00:00Z",
  version: 3,
}

export const gnocchi: Recipe = {
  ...puttanesca,
  slug: "gnocchi-with-sage",
  title: "Gnocchi with sage",
  summary: "Butter does the rest.",
  tags: ["vegetarian", "quick"],
  minutes: 90,
  version: 1,
}

/** A recipes API in memory that keeps the rules of the real one. Every test file that imports this has it as its network. */
export const kitchen = {
  recipes: [] as Recipe[],
  /** Queries of the list that were asked for, newest last. */
  searches: [] as string[],
  reset() {
    this.recipes = [structuredClone(puttanesca), structuredClone(gnocchi)]
    this.searches = []
  },
}

const problem = (status: number, detail: string, more = {}) =>
  HttpResponse.json({ type: "about:blank", title: "Problem", status, detail, ...more }, { status })

const allowed = (request: Request) => request.headers.get("Authorization") === "Bearer good"

export const server = startServer(
  http.get("*/api/recipes", ({ request }) => {
    const query = new URL(request.url).searchParams
    kitchen.searches.push(query.toString())
    const words = query.get("q")?.toLowerCase() ?? ""
    const found = kitchen.recipes.filter(
      ({ title, tags }) =>
        title.toLowerCase().includes(words) && query.getAll("tag").every((tag) => tags.includes(tag)),
    )
    const page = Number(query.get("page"))
    const size = Number(query.get("page_size"))
    const items: RecipeSummary[] = found.slice((page - 1) * size, page * size)
    return HttpResponse.json({
      items,
      page,
      page_size: size,
      total: found.length,
      pages: Math.ceil(found.length / size),
    })
  }),
  http.get("*/api/recipes/:slug", ({ params }) => {
    const recipe = kitchen.recipes.find(({ slug }) => slug === params.slug)
    return recipe ? HttpResponse.json(recipe) : problem(404, "There is no such recipe.")
  }),
  http.post<never, RecipeInput>("*/api/recipes", async ({ request }) => {
    if (!allowed(request)) return problem(401, "Sign in first.")
    const input = await request.json()
    const recipe: Recipe = {
      ...puttanesca,
      ...input,
      tags: input.tags ?? [],
      photo_url: input.photo_url ?? null,
      slug: input.title.toLowerCase().replaceAll(" ", "-"),
      version: 1,
    }
    kitchen.recipes.push(recipe)
    return HttpResponse.json(recipe, { status: 201 })
  }),
  http.put<{ slug: string }, RecipeInput>("*/api/recipes/:slug", async ({ request, params }) => {
    if (!allowed(request)) return problem(401, "Sign in first.")
    const recipe = kitchen.recipes.find(({ slug }) => slug === params.slug)
    if (!recipe) return problem(404, "There is no such recipe.")
    if (request.headers.get("If-Match") !== `"${recipe.version}"`) return problem(412, "It has changed.")
    Object.assign(recipe, await request.json(), { version: recipe.version + 1 })
    return HttpResponse.json(recipe)
  }),
  http.delete<{ slug: string }>("*/api/recipes/:slug", ({ request, params }) => {
    if (!allowed(request)) return problem(401, "Sign in first.")
    kitchen.recipes = kitchen.recipes.filter(({ slug }) => slug !== params.slug)
    return new HttpResponse(null, { status: 204 })
  }),
  http.get("*/api/tags", () => {
    const tags = kitchen.recipes.flatMap((recipe) => recipe.tags)
    return HttpResponse.json(
      [...new Set(tags)].map((name) => ({ name, count: tags.filter((tag) => tag === name).length })),
    )
  }),
  http.post<never, { username: string; password: string }>("*/api/auth/token", async ({ request }) => {
    const { password } = await request.json()
    return password === "al dente"
      ? HttpResponse.json({ access_token: "good", token_type: "bearer", expires_in: 3600 })
      : problem(401, "The username or the password is wrong.")
  }),
)

export { problem }

/** Signs in as an editor, with a token that the API takes. */
export function signInAsEditor(token = "good"): void {
  startSession({ token, username: "nonna", expires: Date.now() + 3_600_000 })
}

/** Opens the app at a path, as a browser would. */
export function open(...entries: [InitialEntry, ...InitialEntry[]]) {
  const router = createMemoryRouter(routes, { initialEntries: entries })
  const queryClient = createQueryClient()
  const api = createApi<paths>({
    baseUrl: "",
    retries: 0,
    token: () => currentSession()?.token ?? null,
    onUnauthorized: endSession,
  })
  const view = render(
    <ThemeProvider>
      <QueryClientProvider client={queryClient}>
        <ApiContext value={api}>
          <RouterProvider router={router} />
        </ApiContext>
      </QueryClientProvider>
    </ThemeProvider>,
  )
  return { ...view, router, queryClient, user: userEvent.setup() }
}
