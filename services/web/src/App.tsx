import { createApi, ThemeProvider, type RuntimeConfig } from "@f1/frontend-kit"
import { PersistQueryClientProvider } from "@tanstack/react-query-persist-client"
import { useState } from "react"
import { createBrowserRouter, RouterProvider } from "react-router"
import { ApiContext } from "./api/api.tsx"
import type { paths } from "./api/schema.ts"
import { currentSession, endSession } from "./auth/session.ts"
import type { flags } from "./flags.ts"
import { createQueryClient, persistence } from "./queryClient.ts"
import { routes } from "./routes.tsx"
import { FlagsContext } from "./useFlag.ts"

/** The whole app, for the API and with the flags that the configuration names. */
export function App({ config }: { config: RuntimeConfig<typeof flags> }) {
  const [api] = useState(() =>
    createApi<paths>({
      baseUrl: config.apiBaseUrl,
      token: () => currentSession()?.token ?? null,
      onUnauthorized: endSession,
    }),
  )
  const [queryClient] = useState(createQueryClient)
  const [router] = useState(() => createBrowserRouter(routes))
  return (
    <ThemeProvider>
      <PersistQueryClientProvider
        client={queryClient}
        persistOptions={persistence}
        // What was kept is shown at once, and asked for again however young it is: a reload is a wish for what is new.
        onSuccess={() => queryClient.invalidateQueries()}
      >
        <ApiContext value={api}>
          <FlagsContext value={config.flags}>
            <RouterProvider router={router} />
          </FlagsContext>
        </ApiContext>
      </PersistQueryClientProvider>
    </ThemeProvider>
  )
}
