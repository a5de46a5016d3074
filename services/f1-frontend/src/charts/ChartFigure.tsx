import { useId, useState, type ReactNode } from "react"
import "./chart-figure.css"

interface ChartFigureProps {
  title: string
  /** One line under the title: units, and what to look for. */
  subtitle?: ReactNode
  /** What the chart shows, in a sentence or two, for people who do not see it. */
  summary: string
  /** Colour key, shown above the chart. */
  legend?: ReactNode
  /** The same data as a table; takes the chart's place when asked for. */
  table: ReactNode
  children: ReactNode
}

/** A chart with its title, a text summary for screen readers, and a switch to the same data as a table. */
export function ChartFigure({ title, subtitle, summary, legend, table, children }: ChartFigureProps) {
  const titleId = useId()
  const [asTable, setAsTable] = useState(false)
  return (
    <figure className="chart" aria-labelledby={titleId}>
      <figcaption className="chart-head">
        <h2 id={titleId} className="chart-title">
          {title}
        </h2>
        <button
          type="button"
          className="quiet-button chart-toggle"
          aria-pressed={asTable}
          onClick={() => {
            setAsTable(!asTable)
          }}
        >
          Show as table
        </button>
        {subtitle !== undefined && <p className="chart-subtitle">{subtitle}</p>}
      </figcaption>
      <p className="visually-hidden">{summary}</p>
      {asTable ? (
        table
      ) : (
        <>
          {legend !== undefined && <div className="chart-legend">{legend}</div>}
          {children}
        </>
      )}
    </figure>
  )
}
