import type { ReactNode } from "react"
import "./figures.css"

export interface Figure {
  label: string
  value: ReactNode
  /** What to compare it with. */
  detail?: ReactNode
}

/** A few numbers that carry a page, each with its name and what to compare it with. */
export function Figures({ figures }: { figures: Figure[] }) {
  return (
    <dl className="figures">
      {figures.map((figure) => (
        <div key={figure.label}>
          <dt>{figure.label}</dt>
          <dd className="figure-value">{figure.value}</dd>
          {figure.detail !== undefined && <dd className="figure-detail">{figure.detail}</dd>}
        </div>
      ))}
    </dl>
  )
}
