import { useEffect, useRef, useState } from "react"

const pause = 250

interface Props {
  /** The words that are searched for now. */
  words: string
  /** Called when typing pauses, and at once on Enter. */
  onSearch: (words: string) => void
}

/** Full text search that follows the typing. */
export function SearchBox({ words, onSearch }: Props) {
  const [typed, setTyped] = useState(words)
  const [shown, setShown] = useState(words)
  // The words changed elsewhere (Back, "Clear all"): show them.
  if (shown !== words) {
    setShown(words)
    if (typed.trim() !== words) setTyped(words)
  }
  const latest = useRef(onSearch)
  useEffect(() => {
    latest.current = onSearch
  })

  useEffect(() => {
    const wanted = typed.trim()
    if (wanted === words) return
    const timer = setTimeout(() => {
      latest.current(wanted)
    }, pause)
    return () => {
      clearTimeout(timer)
    }
  }, [typed, words])

  return (
    <form
      role="search"
      className="search"
      onSubmit={(event) => {
        event.preventDefault()
        onSearch(typed.trim())
      }}
    >
      <svg viewBox="0 0 24 24" aria-hidden="true" focusable="false">
        <circle cx="10.5" cy="10.5" r="6.5" />
        <path d="m15.5 15.5 5 5" />
      </svg>
      <input
        type="search"
        aria-label="Search recipes"
        placeholder="Lemon, clams, twenty minutes…"
        value={typed}
        maxLength={200}
        autoComplete="off"
        enterKeyHint="search"
        onChange={(event) => {
          setTyped(event.target.value)
        }}
      />
    </form>
  )
}
