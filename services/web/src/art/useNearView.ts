import { startTransition, useEffect, useState, type RefObject } from "react"
import { flushSync } from "react-dom"

/** How far below or above what is seen something is still near: a quick flick of the finger. */
const margin = "300px"

/** Whether an element was ever near what is seen, so that what is far down a page costs nothing before. */
export function useNearView(element: RefObject<Element | null>): boolean {
  const [near, setNear] = useState(!("IntersectionObserver" in globalThis))
  useEffect(() => {
    if (near || !element.current) return
    const observer = new IntersectionObserver(
      (entries) => {
        if (!entries.some(({ isIntersecting }) => isIntersecting)) return
        // In slices, so that the page answers while it draws.
        startTransition(() => {
          setNear(true)
        })
      },
      { rootMargin: margin },
    )
    observer.observe(element.current)
    // Paper has no scrolling, and is printed as soon as this returns.
    const print = () => {
      flushSync(() => {
        setNear(true)
      })
    }
    addEventListener("beforeprint", print)
    return () => {
      observer.disconnect()
      removeEventListener("beforeprint", print)
    }
  }, [near, element])
  return near
}
