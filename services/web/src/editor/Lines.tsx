import type { ReactNode } from "react"

interface Props {
  legend: string
  /** What one line is: "ingredient", "step". */
  what: "ingredient" | "step"
  list: {
    fields: { id: string }[]
    move: (from: number, to: number) => void
    remove: (index: number) => void
  }
  /** Adds a line, which will have this index, and moves focus to it. */
  onAdd: (index: number) => void
  /** The fields of a line. */
  children: (index: number) => ReactNode
}

/** A list that grows, shrinks and changes its order. */
export function Lines({ legend, what, list, onAdd, children }: Props) {
  const { fields, move, remove } = list
  return (
    <fieldset className="block">
      <legend>{legend}</legend>
      <ol className="lines">
        {fields.map((line, index) => (
          <li key={line.id} className={`line-row ${what}-row`}>
            {children(index)}
            <LineActions
              what={`${what} ${index + 1}`}
              index={index}
              count={fields.length}
              onMove={move}
              onRemove={remove}
            />
          </li>
        ))}
      </ol>
      <button
        type="button"
        className="button-plain"
        onClick={() => {
          onAdd(fields.length)
        }}
      >
        Add {what === "ingredient" ? "an ingredient" : "a step"}
      </button>
    </fieldset>
  )
}

interface ActionProps {
  what: string
  index: number
  count: number
  onMove: (from: number, to: number) => void
  onRemove: (index: number) => void
}

/** Moves a line of a list up, or removes it; the last line stays. */
function LineActions({ what, index, count, onMove, onRemove }: ActionProps) {
  return (
    <div className="line-actions">
      <button
        type="button"
        className="button-icon"
        aria-label={`Move ${what} up`}
        disabled={index === 0}
        onClick={() => {
          onMove(index, index - 1)
        }}
      >
        <svg viewBox="0 0 24 24" aria-hidden="true" focusable="false">
          <path d="M12 19V5M6 11l6-6 6 6" />
        </svg>
      </button>
      <button
        type="button"
        className="button-icon"
        aria-label={`Remove ${what}`}
        disabled={count === 1}
        onClick={() => {
          onRemove(index)
        }}
      >
        <svg viewBox="0 0 24 24" aria-hidden="true" focusable="false">
          <path d="M6 6l12 12M18 6 6 18" />
        </svg>
      </button>
    </div>
  )
}
