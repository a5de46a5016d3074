import { QueryClient } from "@tanstack/react-query"
import { createAsyncStoragePersister } from "@tanstack/query-async-storage-persister"
import type { PersistQueryClientOptions } from "@tanstack/react-query-persist-client"
import { del, get, set } from "idb-keyval"

const month = 30 * 24 * 60 * 60 * 1000

/** Answers from what it has while it asks again. The API client does the retrying, so queries do not. */
export function createQueryClient(): QueryClient {
  return new QueryClient({
    defaultOptions: {
      // What was read stays as long as the tab; timers of browsers cannot count a month.
      queries: { staleTime: 30_000, gcTime: Infinity, retry: false, networkMode: "always" },
      mutations: { retry: false, networkMode: "always" },
    },
  })
}

/** Keeps what was read in IndexedDB for a month, to be read without a network. */
export const persistence: Omit<PersistQueryClientOptions, "queryClient"> = {
  persister: createAsyncStoragePersister({
    key: "recipes",
    storage: { getItem: get, setItem: set, removeItem: del },
  }),
  maxAge: month,
  // Raised when the shape of what is kept changes.
  buster: "1",
  dehydrateOptions: {
    shouldDehydrateQuery: ({ meta, state }) =>
      meta?.kept === true && state.status === "success" && Date.now() - state.dataUpdatedAt < month,
  },
}
