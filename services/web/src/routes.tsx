import { Loading } from "@f1/frontend-kit"
import type { RouteObject } from "react-router"
import { RequireSession } from "./auth/RequireSession.tsx"
import { BrowsePage } from "./browse/BrowsePage.tsx"
import { FailurePage } from "./layout/FailurePage.tsx"
import { Layout } from "./layout/Layout.tsx"
import { NotFoundPage } from "./layout/NotFoundPage.tsx"
import { RecipePage } from "./recipe/RecipePage.tsx"

/** Reading comes with the app; what only writers need is loaded when they need it. */
export const routes: RouteObject[] = [
  {
    Component: Layout,
    ErrorBoundary: FailurePage,
    HydrateFallback: () => <Loading />,
    children: [
      { index: true, Component: BrowsePage },
      { path: "recipes/:slug", Component: RecipePage },
      {
        path: "sign-in",
        lazy: async () => ({ Component: (await import("./auth/SignInPage.tsx")).SignInPage }),
      },
      {
        Component: RequireSession,
        children: [
          {
            path: "write",
            lazy: async () => ({ Component: (await import("./editor/EditorPages.tsx")).WritePage }),
          },
          {
            path: "recipes/:slug/edit",
            lazy: async () => ({ Component: (await import("./editor/EditorPages.tsx")).EditPage }),
          },
        ],
      },
      { path: "*", Component: NotFoundPage },
    ],
  },
]
