import { mainId, OfflineBanner, SkipLink, ThemeToggle, useRouteFocus } from "@f1/frontend-kit"
import { Link, NavLink, Outlet, ScrollRestoration } from "react-router"
import { endSession, useSession } from "../auth/session.ts"
import { UpdateNotice } from "./UpdateNotice.tsx"
import { Wordmark } from "./Wordmark.tsx"

/** What every page has around it. */
export function Layout() {
  useRouteFocus()
  const session = useSession()
  return (
    <>
      <SkipLink />
      <OfflineBanner>You are offline. Recipes that you have read are still here.</OfflineBanner>
      <header className="header">
        <Link to="/" className="wordmark" aria-label="Al Dente, all recipes">
          <Wordmark />
        </Link>
        <nav aria-label="Main">
          {session ? (
            <>
              <NavLink to="/write" className="nav-link">
                Write<span className="wide">{"\u00a0a recipe"}</span>
              </NavLink>
              <button
                type="button"
                className="nav-link"
                onClick={endSession}
                aria-label={`Sign out ${session.username}`}
              >
                Sign out
              </button>
            </>
          ) : (
            <NavLink to="/sign-in" className="nav-link">
              Sign in
            </NavLink>
          )}
        </nav>
        <ThemeToggle />
      </header>
      <main id={mainId} tabIndex={-1}>
        <Outlet />
      </main>
      <footer className="footer">
        <p>Salt the water. Save a cup of it. Taste a minute early.</p>
      </footer>
      <UpdateNotice />
      <ScrollRestoration />
    </>
  )
}
