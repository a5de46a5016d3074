import { ThemeProvider, type RuntimeConfig } from "@f1/frontend-kit"
import { QueryClient, QueryClientProvider } from "@tanstack/react-query"
import { lazy, Suspense, useState } from "react"
import { BrowserRouter, Route, Routes } from "react-router"
import { createQueries, QueriesProvider } from "./api/queries.ts"
import { PageLoading } from "./components/Answer.tsx"
import { Layout } from "./components/Layout.tsx"
import { NextRacePage } from "./pages/NextRacePage.tsx"
import { NotFoundPage } from "./pages/NotFoundPage.tsx"
import type { flags } from "./flags.ts"
import { FlagsContext } from "./useFlag.ts"

// The first page is in the first chunk; the others bring their charts with them when they are opened.
const RacesPage = lazy(() => import("./pages/RacesPage.tsx"))
const RacePage = lazy(() => import("./pages/RacePage.tsx"))
const PerformancePage = lazy(() => import("./pages/PerformancePage.tsx"))
const DriversPage = lazy(() => import("./pages/DriversPage.tsx"))
const DriverPage = lazy(() => import("./pages/DriverPage.tsx"))
const ConstructorsPage = lazy(() => import("./pages/ConstructorsPage.tsx"))
const ConstructorPage = lazy(() => import("./pages/ConstructorPage.tsx"))
const EloPage = lazy(() => import("./pages/EloPage.tsx"))
const ModelPage = lazy(() => import("./pages/ModelPage.tsx"))

const FRESH_FOR_MS = 60_000
const KEPT_FOR_MS = 60 * 60_000

/** The client of all server state: answers are shown from memory at once and fetched again behind after a minute. */
export function createQueryClient(): QueryClient {
  return new QueryClient({
    defaultOptions: {
      queries: {
        staleTime: FRESH_FOR_MS,
        gcTime: KEPT_FOR_MS,
        // The API client already retries what is worth it.
        retry: false,
        // Offline, a question that has no answer yet fails at once and says so, rather than load for ever.
        networkMode: "always",
        refetchOnReconnect: true,
      },
    },
  })
}

/** The whole dashboard, for the backend and with the flags that the configuration names. */
export function App({ config }: { config: RuntimeConfig<typeof flags> }) {
  const [client] = useState(createQueryClient)
  const [queries] = useState(() => createQueries(config.apiBaseUrl))
  return (
    <ThemeProvider>
      <QueryClientProvider client={client}>
        <QueriesProvider value={queries}>
          <FlagsContext value={config.flags}>
            <BrowserRouter>
              <AppRoutes />
            </BrowserRouter>
          </FlagsContext>
        </QueriesProvider>
      </QueryClientProvider>
    </ThemeProvider>
  )
}

/** The pages and their addresses, under the masthead. */
export function AppRoutes() {
  return (
    <Layout>
      <Suspense fallback={<PageLoading label="the page" />}>
        <Routes>
          <Route index element={<NextRacePage />} />
          <Route path="races" element={<RacesPage />} />
          <Route path="races/:season/:round" element={<RacePage />} />
          <Route path="performance" element={<PerformancePage />} />
          <Route path="drivers" element={<DriversPage />} />
          <Route path="drivers/:id" element={<DriverPage />} />
          <Route path="constructors" element={<ConstructorsPage />} />
          <Route path="constructors/:id" element={<ConstructorPage />} />
          <Route path="elo" element={<EloPage />} />
          <Route path="model" element={<ModelPage />} />
          <Route path="*" element={<NotFoundPage />} />
        </Routes>
      </Suspense>
    </Layout>
  )
}
