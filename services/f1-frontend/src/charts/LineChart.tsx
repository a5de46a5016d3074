import { scaleLinear } from "@visx/scale"
import { LinePath } from "@visx/shape"
import { useState } from "react"
import { integer } from "../format.ts"
import { paddedExtent, spread, thin } from "./layout.ts"
import { useChartWidth } from "./useChartWidth.ts"
import "./line-chart.css"

export interface Line {
  id: string
  label: string
  color: string
  /** Second line of the same colour: a teammate. */
  dashed?: boolean
  /** Drawn in its colour, on top and with its name; the others are grey context. */
  emphasis: boolean
  /** `x` counts steps from 0; a gap in the steps is bridged. */
  points: { x: number; y: number }[]
}

interface LineChartProps {
  lines: Line[]
  /** What each step along x is called when read out: "Round 3, Melbourne". */
  steps: string[]
  /** Labels under the axis, each at a step. */
  ticks: { x: number; label: string }[]
  /** Vertical lines between steps, for season boundaries. */
  boundaries?: number[]
  /** Accessible name of the slider that reads out values. */
  sliderLabel: string
}

const LABEL_GAP = 17
const TICK_WIDTH = 56

/**
 * Lines over steps (rounds), with the names at their ends. A slider lies over the plot, so that pointer, touch and
 * arrow keys all move one cursor, whose values are read out under the chart.
 */
export function LineChart({ lines, steps, ticks, boundaries = [], sliderLabel }: LineChartProps) {
  const { parentRef, width } = useChartWidth()
  const [cursor, setCursor] = useState(steps.length - 1)
  const narrow = width < 560
  const height = narrow ? 300 : 420
  // One line needs no name: the title has it.
  const labelWidth = lines.length === 1 ? 20 : narrow ? 96 : 148
  const margin = { top: 12, right: labelWidth, bottom: 28, left: 44 }
  const plotRight = Math.max(width - margin.right, margin.left + 1)

  const x = scaleLinear({ domain: [0, Math.max(steps.length - 1, 1)], range: [margin.left, plotRight] })
  const y = scaleLinear({
    domain: paddedExtent(lines.flatMap((line) => line.points.map((point) => point.y))),
    range: [height - margin.bottom, margin.top],
    nice: true,
  })

  const context = lines.filter((line) => !line.emphasis)
  const emphasised = lines.filter((line) => line.emphasis)
  const named = (lines.length === 1 ? [] : emphasised).flatMap((line) =>
    line.points.slice(-1).map((end) => ({ line, end })),
  )
  const labelPlaces = spread(
    named.map(({ end }) => y(end.y)),
    LABEL_GAP,
    margin.top,
    height - margin.bottom,
  )
  const readout = emphasised
    .flatMap((line) =>
      line.points.filter((point) => point.x === cursor).map((point) => ({ line, y: point.y })),
    )
    .sort((a, b) => b.y - a.y)
  const valueText = [
    steps[cursor],
    ...readout.map((entry) => `${entry.line.label} ${integer(entry.y)}`),
  ].join(", ")

  return (
    <div>
      <div ref={parentRef} className="line-chart" style={{ height }}>
        <svg width={width} height={height} aria-hidden="true">
          {y.ticks(narrow ? 4 : 6).map((tick) => (
            <g key={tick}>
              <line className="gridline" x1={margin.left} x2={plotRight} y1={y(tick)} y2={y(tick)} />
              <text x={margin.left - 8} y={y(tick)} dy="0.32em" textAnchor="end">
                {integer(tick)}
              </text>
            </g>
          ))}
          {boundaries.map((step) => (
            <line
              key={step}
              className="boundary"
              x1={x(step)}
              x2={x(step)}
              y1={margin.top}
              y2={height - margin.bottom}
            />
          ))}
          {thin(ticks, (plotRight - margin.left) / TICK_WIDTH).map((tick) => (
            <text key={tick.x} x={x(tick.x)} y={height - 8} textAnchor="middle">
              {tick.label}
            </text>
          ))}
          {[...context, ...emphasised].map((line) => (
            <LinePath
              key={line.id}
              data={line.points}
              x={(point) => x(point.x)}
              y={(point) => y(point.y)}
              className={line.emphasis ? "line line-emphasis" : "line line-context"}
              stroke={line.emphasis ? line.color : undefined}
              strokeDasharray={line.emphasis && line.dashed ? "6 4" : undefined}
            />
          ))}
          <line
            className="line-cursor"
            x1={x(cursor)}
            x2={x(cursor)}
            y1={margin.top}
            y2={height - margin.bottom}
          />
          {readout.map((entry) => (
            <circle
              key={entry.line.id}
              cx={x(cursor)}
              cy={y(entry.y)}
              r={4.5}
              fill={entry.line.color}
              className="line-dot"
            />
          ))}
          {named.map(({ line, end }, index) => (
            <g key={line.id}>
              <line
                className="line-leader"
                x1={x(end.x) + 3}
                y1={y(end.y)}
                x2={plotRight + 9}
                y2={labelPlaces[index]}
                stroke={line.color}
              />
              <text
                className="line-name halo"
                x={plotRight + 12}
                y={labelPlaces[index]}
                dy="0.32em"
                style={{ fill: line.color }}
              >
                {line.label}
              </text>
            </g>
          ))}
        </svg>
        <input
          type="range"
          className="line-slider"
          style={{
            left: margin.left,
            width: plotRight - margin.left,
            bottom: margin.bottom,
            top: margin.top,
          }}
          min={0}
          max={Math.max(steps.length - 1, 0)}
          step={1}
          value={cursor}
          aria-label={sliderLabel}
          aria-valuetext={valueText}
          onChange={(event) => {
            setCursor(event.currentTarget.valueAsNumber)
          }}
          onPointerMove={(event) => {
            const box = event.currentTarget.getBoundingClientRect()
            const share = box.width > 0 ? (event.clientX - box.left) / box.width : 0
            setCursor(Math.round(Math.min(Math.max(share, 0), 1) * (steps.length - 1)))
          }}
        />
      </div>
      <p className="line-readout" aria-hidden="true">
        <strong>{steps[cursor]}</strong>
        {readout.map((entry) => (
          <span key={entry.line.id} className="line-readout-item">
            <span className="swatch" style={{ background: entry.line.color }} />
            {entry.line.label} <b>{integer(entry.y)}</b>
          </span>
        ))}
      </p>
    </div>
  )
}
