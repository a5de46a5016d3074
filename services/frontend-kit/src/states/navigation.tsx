import { useEffect, useRef } from "react"
import { useLocation } from "react-router"

/** The id that the page's main element has, for SkipLink and useRouteFocus. */
export const mainId = "main"

/** The first thing on the page that takes focus: jumps over the header. */
export function SkipLink() {
  return (
    <a className="kit-skip" href={`#${mainId}`}>
      Skip to content
    </a>
  )
}

/**
 * Moves focus to the main element after each change of path, as a page load would, so that keyboards and screen readers start
 * at the new page. Changes of the query alone (filters, pages) leave focus where it is. Use it once, in the layout.
 */
export function useRouteFocus(): void {
  const { pathname } = useLocation()
  const previous = useRef(pathname)
  useEffect(() => {
    if (previous.current === pathname) return
    previous.current = pathname
    const main = document.getElementById(mainId)
    main?.setAttribute("tabindex", "-1")
    main?.focus({ preventScroll: true })
  }, [pathname])
}
