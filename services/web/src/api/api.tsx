import { createApi } from "@f1/frontend-kit"
import { createContext, use } from "react"
import type { components, paths } from "./schema.ts"

export type Api = ReturnType<typeof createApi<paths>>
export type Recipe = components["schemas"]["Recipe"]
export type RecipeInput = components["schemas"]["RecipeInput"]
export type RecipeSummary = components["schemas"]["RecipeSummary"]
export type RecipePage = components["schemas"]["RecipePage"]
export type Credentials = components["schemas"]["Credentials"]
export type Me = components["schemas"]["Me"]
export type Sort = NonNullable<NonNullable<paths["/api/recipes"]["get"]["parameters"]["query"]>["sort"]>

export const ApiContext = createContext<Api | null>(null)

/** The client of the recipes API. Throws outside an ApiContext. */
export function useApi(): Api {
  const api = use(ApiContext)
  if (!api) throw new Error("useApi needs an ApiContext above it")
  return api
}

/** The body of an answer. The client rejects when there is none. */
export async function body<T>(answer: Promise<{ data?: T }>): Promise<T> {
  const { data } = await answer
  return data as T
}
