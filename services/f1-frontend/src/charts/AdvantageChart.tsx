import { scaleLinear } from "@visx/scale"
import { AreaClosed, LinePath } from "@visx/shape"
import { useId } from "react"
import { signed } from "../format.ts"
import { thin } from "./layout.ts"
import { useChartWidth } from "./useChartWidth.ts"
import "./advantage-chart.css"

const TICK_WIDTH = 56

interface AdvantageChartProps {
  /** Running lead of the model over the baseline after each race, in nats; above 0 the model is ahead. */
  values: number[]
  /** Words beside the line, each at an index of `values`. */
  notes: { x: number; label: string }[]
  /** Labels under the axis, each at an index of `values`. */
  ticks: { x: number; label: string }[]
  /** Vertical lines before these indices, for season boundaries. */
  boundaries: number[]
}

/** How far the model is ahead of the baseline as the races go by; the area changes colour at the zero line. */
export function AdvantageChart({ values, notes, ticks, boundaries }: AdvantageChartProps) {
  const { parentRef, width } = useChartWidth()
  const clipId = useId()
  const narrow = width < 560
  const height = narrow ? 240 : 300
  const margin = { top: 16, right: 52, bottom: 28, left: 44 }
  const plotRight = Math.max(width - margin.right, margin.left + 1)
  const plotBottom = height - margin.bottom

  // The season starts level, one step before the first race.
  const points = [0, ...values].map((value, step) => ({ value, step }))
  const x = scaleLinear({ domain: [0, Math.max(values.length, 1)], range: [margin.left, plotRight] })
  const y = scaleLinear({
    domain: [Math.min(-0.2, ...values), Math.max(0.2, ...values)],
    range: [plotBottom, margin.top],
    nice: true,
  })
  const zero = y(0)
  const last = { step: values.length, value: values.at(-1) ?? 0 }

  return (
    <div ref={parentRef} className="advantage" style={{ height }}>
      <svg width={width} height={height} aria-hidden="true">
        <clipPath id={`${clipId}-ahead`}>
          <rect x={margin.left} y={margin.top} width={plotRight - margin.left} height={zero - margin.top} />
        </clipPath>
        <clipPath id={`${clipId}-behind`}>
          <rect x={margin.left} y={zero} width={plotRight - margin.left} height={plotBottom - zero} />
        </clipPath>
        {y.ticks(narrow ? 4 : 5).map((tick) => (
          <g key={tick}>
            <line className="gridline" x1={margin.left} x2={plotRight} y1={y(tick)} y2={y(tick)} />
            <text x={margin.left - 8} y={y(tick)} dy="0.32em" textAnchor="end">
              {signed(tick, 1)}
            </text>
          </g>
        ))}
        {boundaries.map((step) => (
          <line key={step} className="boundary" x1={x(step)} x2={x(step)} y1={margin.top} y2={plotBottom} />
        ))}
        {(["ahead", "behind"] as const).map((side) => (
          <AreaClosed
            key={side}
            data={points}
            x={(point) => x(point.step)}
            y={(point) => y(point.value)}
            y0={zero}
            yScale={y}
            className={`advantage-${side}`}
            clipPath={`url(#${clipId}-${side})`}
          />
        ))}
        <line className="zeroline" x1={margin.left} x2={plotRight} y1={zero} y2={zero} />
        <LinePath
          data={points}
          x={(point) => x(point.step)}
          y={(point) => y(point.value)}
          className="advantage-line"
        />
        <circle cx={x(last.step)} cy={y(last.value)} r={4} className="advantage-end" />
        <text className="strong" x={x(last.step) + 9} y={y(last.value)} dy="0.32em">
          {signed(last.value, 1)}
        </text>
        <text className="advantage-side" x={margin.left + 8} y={margin.top + 4} dy="0.32em">
          ▲ model ahead
        </text>
        <text className="advantage-side" x={margin.left + 8} y={plotBottom - 8} dy="0.32em">
          ▼ grid ahead
        </text>
        {!narrow &&
          notes.map((note) => {
            const value = values[note.x] ?? 0
            const rises = value > (values[note.x - 1] ?? 0)
            // The line is not above a rise before it, nor under a fall after it; but a note never leaves the chart.
            const share = (note.x + 1) / values.length
            const anchor = share < 0.3 || (!rises && share < 0.7) ? "start" : "end"
            return (
              <g key={note.x} transform={`translate(${x(note.x + 1)} ${y(value)})`}>
                <circle className="advantage-note" r={3.5} />
                <text className="halo" y={rises ? -12 : 22} textAnchor={anchor}>
                  {note.label}
                </text>
              </g>
            )
          })}
        {thin(ticks, (plotRight - margin.left) / TICK_WIDTH).map((tick) => (
          <text key={tick.x} x={x(tick.x + 1)} y={height - 8} textAnchor="middle">
            {tick.label}
          </text>
        ))}
      </svg>
    </div>
  )
}
