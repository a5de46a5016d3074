import { useQuery } from "@tanstack/react-query"
import { useState } from "react"
import { useApi } from "../api/api.tsx"
import { tagsQuery } from "../api/queries.ts"

// As many as fit on one line of a desktop.
const few = 11

interface Props {
  /** What choosing a tag does. */
  label: string
  chosen: string[]
  onToggle: (tag: string) => void
}

/** The tags in use, to choose from. Those chosen stay even when the list of tags cannot be had. */
export function TagChips({ label, chosen, onToggle }: Props) {
  const { data: tags = [] } = useQuery(tagsQuery(useApi()))
  const [all, setAll] = useState(false)
  const names = tags.map(({ name }) => name)
  const common = all ? names : names.slice(0, few)
  const shown = [...common, ...chosen.filter((tag) => !common.includes(tag))]
  if (shown.length === 0) return null
  return (
    <div role="group" aria-label={label} className="chips">
      {shown.map((tag) => (
        <button
          key={tag}
          type="button"
          className="chip"
          aria-pressed={chosen.includes(tag)}
          onClick={() => {
            onToggle(tag)
          }}
        >
          {tag}
        </button>
      ))}
      {!all && names.length > few && (
        <button
          type="button"
          className="chip more-tags"
          onClick={() => {
            setAll(true)
          }}
        >
          All tags
        </button>
      )}
    </div>
  )
}
