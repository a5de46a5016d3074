import { scaleLinear } from "@visx/scale"
import { LinkHorizontal } from "@visx/shape"
import { useChartWidth } from "./useChartWidth.ts"
import "./slope-chart.css"

export interface Slope {
  id: string
  name: string
  color: string
  /** Place in the forecast, from 1. */
  from: number
  /** Place at the flag, from 1; those who did not finish share the places after the last finisher. */
  to: number
  /** Shown at the right end: "1", or "DNF". */
  toLabel: string
  emphasis: boolean
}

const ROW = 26

/** The forecast's order on the left, the result on the right; a flat line is a driver who finished as expected. */
export function SlopeChart({ slopes }: { slopes: Slope[] }) {
  const { parentRef, width } = useChartWidth()
  const margin = { top: 30, side: Math.min(190, Math.max(118, width * 0.3)) }
  const rows = Math.max(1, ...slopes.map((slope) => Math.max(slope.from, slope.to)))
  const height = margin.top + rows * ROW
  const y = scaleLinear({ domain: [1, rows + 1], range: [margin.top + ROW / 2, height + ROW / 2] })
  const left = margin.side
  const right = Math.max(width - margin.side, left + 1)

  return (
    <div ref={parentRef} className="slope" style={{ height }}>
      <svg width={width} height={height} aria-hidden="true">
        <text className="strong" x={left} y={14} textAnchor="end">
          Forecast
        </text>
        <text className="strong" x={right} y={14}>
          Result
        </text>
        {[...slopes]
          .sort((a, b) => Number(a.emphasis) - Number(b.emphasis))
          .map((slope) => (
            <g key={slope.id} className={slope.emphasis ? "slope-emphasis" : "slope-context"}>
              <LinkHorizontal
                data={slope}
                x={(end: { x: number }) => end.x}
                y={(end: { y: number }) => end.y}
                source={() => ({ x: left + 10, y: y(slope.from) })}
                target={() => ({ x: right - 10, y: y(slope.to) })}
                fill="none"
                stroke={slope.emphasis ? slope.color : undefined}
              />
              <circle
                cx={left + 10}
                cy={y(slope.from)}
                r={4}
                fill={slope.emphasis ? slope.color : undefined}
              />
              <circle
                cx={right - 10}
                cy={y(slope.to)}
                r={4}
                fill={slope.emphasis ? slope.color : undefined}
              />
              <text x={left} y={y(slope.from)} dy="0.32em" textAnchor="end">
                {slope.name} <tspan className="slope-place">{slope.from}</tspan>
              </text>
              <text x={right} y={y(slope.to)} dy="0.32em">
                <tspan className="slope-place">{slope.toLabel}</tspan> {slope.name}
              </text>
            </g>
          ))}
      </svg>
    </div>
  )
}
