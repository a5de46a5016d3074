import { useState } from "react"

/** Which steps of a recipe are done, kept in this tab so that a reload in mid-cooking loses nothing. */
export function useDoneSteps(slug: string) {
  const key = `done:${slug}`
  const [done, setDone] = useState(
    () => new Set(sessionStorage.getItem(key)?.split(",").filter(Boolean).map(Number)),
  )

  function keep(next: Set<number>) {
    setDone(next)
    if (next.size > 0) sessionStorage.setItem(key, [...next].join(","))
    else sessionStorage.removeItem(key)
  }

  return {
    done,
    toggle: (step: number) => {
      const next = new Set(done)
      if (!next.delete(step)) next.add(step)
      keep(next)
    },
    clear: () => {
      keep(new Set())
    },
  }
}
