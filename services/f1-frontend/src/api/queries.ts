import { createApi } from "@f1/frontend-kit"
import { queryOptions } from "@tanstack/react-query"
import { createContext, use } from "react"
import type { paths } from "./schema.ts"

/** Every question that the dashboard asks the backend; one key and one call each. */
export function createQueries(apiBaseUrl: string) {
  const api = createApi<paths>({ baseUrl: apiBaseUrl })
  return {
    seasons: () =>
      queryOptions({
        queryKey: ["seasons"],
        queryFn: ({ signal }) => body(api.GET("/api/f1/seasons", { signal })),
      }),
    races: (season: number) =>
      queryOptions({
        queryKey: ["races", season],
        queryFn: ({ signal }) => body(api.GET("/api/f1/races", { params: { query: { season } }, signal })),
      }),
    nextRace: () =>
      queryOptions({
        queryKey: ["races", "next"],
        queryFn: ({ signal }) => body(api.GET("/api/f1/races/next", { signal })),
      }),
    race: (season: number, round: number) =>
      queryOptions({
        queryKey: ["races", season, round],
        queryFn: ({ signal }) =>
          body(api.GET("/api/f1/races/{season}/{round}", { params: { path: { season, round } }, signal })),
      }),
    drivers: (season: number) =>
      queryOptions({
        queryKey: ["drivers", season],
        queryFn: ({ signal }) => body(api.GET("/api/f1/drivers", { params: { query: { season } }, signal })),
      }),
    driver: (id: string) =>
      queryOptions({
        queryKey: ["driver", id],
        queryFn: ({ signal }) => body(api.GET("/api/f1/drivers/{id}", { params: { path: { id } }, signal })),
      }),
    constructors: (season: number) =>
      queryOptions({
        queryKey: ["constructors", season],
        queryFn: ({ signal }) =>
          body(api.GET("/api/f1/constructors", { params: { query: { season } }, signal })),
      }),
    team: (id: string) =>
      queryOptions({
        queryKey: ["constructor", id],
        queryFn: ({ signal }) =>
          body(api.GET("/api/f1/constructors/{id}", { params: { path: { id } }, signal })),
      }),
    elo: (season: number, kind: "driver" | "constructor") =>
      queryOptions({
        queryKey: ["elo", season, kind],
        queryFn: ({ signal }) =>
          body(api.GET("/api/f1/elo", { params: { query: { season, kind } }, signal })),
      }),
    performance: (season: number | null) =>
      queryOptions({
        queryKey: ["performance", season],
        queryFn: ({ signal }) =>
          body(
            api.GET("/api/f1/performance", { params: { query: season === null ? {} : { season } }, signal }),
          ),
      }),
    monitoring: () =>
      queryOptions({
        queryKey: ["monitoring"],
        queryFn: ({ signal }) => body(api.GET("/api/f1/monitoring", { signal })),
      }),
    model: () =>
      queryOptions({
        queryKey: ["model"],
        queryFn: ({ signal }) => body(api.GET("/api/f1/model", { signal })),
      }),
  }
}

async function body<T>(call: Promise<{ data?: T }>): Promise<T> {
  const { data } = await call
  if (data === undefined) throw new Error("The server answered without a body")
  return data
}

type Queries = ReturnType<typeof createQueries>

const QueriesContext = createContext<Queries | null>(null)

export const QueriesProvider = QueriesContext.Provider

/** The questions of the backend that this app was started with. Throws outside a QueriesProvider. */
export function useQueries(): Queries {
  const queries = use(QueriesContext)
  if (!queries) throw new Error("useQueries needs a QueriesProvider above it")
  return queries
}
