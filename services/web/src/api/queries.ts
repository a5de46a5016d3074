import { queryOptions, useMutation, useQueryClient, type QueryClient } from "@tanstack/react-query"
import type { Search } from "../browse/search.ts"
import { body, useApi, type Api, type Recipe, type RecipeInput } from "./api.tsx"

export const pageSize = 12

/** Queries marked so are kept on the device, to be read without a network. */
const kept = { kept: true }

export function recipesQuery(api: Api, search: Search) {
  return queryOptions({
    queryKey: ["recipes", search],
    queryFn: ({ signal }) =>
      body(
        api.GET("/api/recipes", {
          params: {
            query: {
              q: search.words || undefined,
              tag: search.tags.length > 0 ? search.tags : undefined,
              page: search.page,
              page_size: pageSize,
              sort: search.sort,
            },
          },
          signal,
        }),
      ),
    meta: kept,
  })
}

export function recipeQuery(api: Api, slug: string) {
  return queryOptions({
    queryKey: ["recipe", slug],
    queryFn: ({ signal }) => body(api.GET("/api/recipes/{slug}", { params: { path: { slug } }, signal })),
    meta: kept,
  })
}

export function tagsQuery(api: Api) {
  return queryOptions({
    queryKey: ["tags"],
    queryFn: ({ signal }) => body(api.GET("/api/tags", { signal })),
    meta: kept,
  })
}

/** The recipes that were read on this device, newest first. */
export function recipesRead(client: QueryClient): Recipe[] {
  return client
    .getQueryCache()
    .findAll({ queryKey: ["recipe"] })
    .toSorted((a, b) => b.state.dataUpdatedAt - a.state.dataUpdatedAt)
    .flatMap((query) => (query.state.data as Recipe | undefined) ?? [])
}

/** Writes a new recipe, or a new version of `original`; fails with status 412 when someone else was faster. */
export function useSaveRecipe(original: Recipe | undefined) {
  const api = useApi()
  const client = useQueryClient()
  return useMutation({
    mutationFn: (recipe: RecipeInput) =>
      body(
        original
          ? api.PUT("/api/recipes/{slug}", {
              params: { path: { slug: original.slug }, header: { "if-match": `"${original.version}"` } },
              body: recipe,
            })
          : api.POST("/api/recipes", { body: recipe }),
      ),
    onSuccess(saved) {
      client.setQueryData(["recipe", saved.slug], saved)
      return listsChanged(client)
    },
  })
}

/** Deletes a recipe. */
export function useDeleteRecipe(recipe: Recipe) {
  const api = useApi()
  const client = useQueryClient()
  return useMutation({
    mutationFn: () =>
      api.DELETE("/api/recipes/{slug}", {
        params: { path: { slug: recipe.slug }, header: { "if-match": `"${recipe.version}"` } },
      }),
    onSuccess: () => listsChanged(client),
  })
}

async function listsChanged(client: QueryClient): Promise<void> {
  await Promise.all([
    client.invalidateQueries({ queryKey: ["recipes"] }),
    client.invalidateQueries({ queryKey: ["tags"] }),
  ])
}
