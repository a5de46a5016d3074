import { mainId, OfflineBanner, SkipLink, ThemeToggle, useRouteFocus } from "@f1/frontend-kit"
import { useEffect, useRef, type ReactNode } from "react"
import { Link, NavLink, useLocation, useSearchParams } from "react-router"
import { Boundary } from "./Boundary.tsx"
import "./layout.css"

const sections = [
  { to: "/", label: "Next race", seasonal: false },
  { to: "/races", label: "Races", seasonal: true },
  { to: "/performance", label: "Performance", seasonal: true },
  { to: "/drivers", label: "Drivers", seasonal: true },
  { to: "/constructors", label: "Constructors", seasonal: true },
  { to: "/elo", label: "ELO", seasonal: true },
  { to: "/model", label: "Model card", seasonal: false },
]

/** Masthead, navigation and footer around a page. */
export function Layout({ children }: { children: ReactNode }) {
  const { pathname } = useLocation()
  const [parameters] = useSearchParams()
  const season = parameters.get("season")
  useRouteFocus()
  const list = useRef<HTMLUListElement>(null)
  useEffect(() => {
    scrollTo(0, 0)
    // On a narrow screen the list is wider than its place: the section that one is in must show.
    const current = list.current?.querySelector<HTMLElement>("[aria-current=page]")
    if (list.current && current) {
      list.current.scrollLeft = current.offsetLeft + (current.offsetWidth - list.current.clientWidth) / 2
    }
  }, [pathname])
  return (
    <>
      <SkipLink />
      <OfflineBanner>You are offline. What you have already opened stays readable.</OfflineBanner>
      <header className="masthead">
        <div className="masthead-inner">
          <Link to="/" className="wordmark">
            Pitwall <span>Forecast</span>
          </Link>
          <nav aria-label="Sections" className="sections">
            <ul ref={list}>
              {sections.map(({ to, label, seasonal }) => (
                <li key={to}>
                  <NavLink
                    end={to === "/"}
                    to={{ pathname: to, search: seasonal && season ? `?season=${season}` : "" }}
                  >
                    {label}
                  </NavLink>
                </li>
              ))}
            </ul>
          </nav>
          <ThemeToggle />
        </div>
      </header>
      <main id={mainId} className="page">
        <Boundary key={pathname}>{children}</Boundary>
      </main>
      <footer className="colophon">
        <p>
          Probabilities, not promises: a driver with a 30% chance loses seven times out of ten.{" "}
          <Link to="/model">How the model works and where it fails</Link>
        </p>
      </footer>
    </>
  )
}
