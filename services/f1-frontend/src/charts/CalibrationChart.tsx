import { scaleLinear, scaleSqrt } from "@visx/scale"
import type { CalibrationBin } from "../api/types.ts"
import { integer, percent } from "../format.ts"
import { wilsonInterval } from "./layout.ts"
import { useChartWidth } from "./useChartWidth.ts"
import "./calibration-chart.css"

interface CalibrationChartProps {
  model: CalibrationBin[]
  baseline: CalibrationBin[]
}

const MAX_RADIUS = 13

/**
 * Reliability diagram: what was said against what happened; on the diagonal both agree. A dot's area is its count, and the
 * line through it spans the rates that chance alone would explain.
 */
export function CalibrationChart({ model, baseline }: CalibrationChartProps) {
  const { parentRef, width } = useChartWidth(540)
  const margin = { top: 16, right: 20, bottom: 58, left: 64 }
  const side = Math.min(width - margin.left - margin.right, 460)
  const height = side + margin.top + margin.bottom
  const x = scaleLinear({ domain: [0, 1], range: [margin.left, margin.left + Math.max(side, 1)] })
  const y = scaleLinear({ domain: [0, 1], range: [margin.top + Math.max(side, 1), margin.top] })
  const radius = scaleSqrt({
    domain: [0, Math.max(1, ...[...model, ...baseline].map((bin) => bin.count))],
    range: [3, MAX_RADIUS],
  })
  const ticks = [0, 0.25, 0.5, 0.75, 1]

  return (
    <div ref={parentRef} className="calibration" style={{ height }}>
      <svg width={width} height={height} aria-hidden="true">
        {ticks.map((tick) => (
          <g key={tick}>
            <line className="gridline" x1={x(0)} x2={x(1)} y1={y(tick)} y2={y(tick)} />
            <line className="gridline" x1={x(tick)} x2={x(tick)} y1={y(0)} y2={y(1)} />
            <text x={x(0) - 14} y={y(tick)} dy="0.32em" textAnchor="end">
              {percent(tick)}
            </text>
            <text x={x(tick)} y={y(0) + 24} textAnchor="middle">
              {percent(tick)}
            </text>
          </g>
        ))}
        <line className="calibration-diagonal" x1={x(0)} y1={y(0)} x2={x(1)} y2={y(1)} />
        <text className="calibration-note" x={x(0.03)} y={y(0.965)}>
          too cautious
        </text>
        <text className="calibration-note" x={x(0.97)} y={y(0.035)} textAnchor="end">
          too confident
        </text>
        {model.map((bin) => {
          const [low, high] = wilsonInterval(bin.observed, bin.count)
          return (
            <line
              key={bin.bin_low}
              className="calibration-interval"
              x1={x(bin.predicted)}
              x2={x(bin.predicted)}
              y1={y(low)}
              y2={y(high)}
            />
          )
        })}
        {(
          [
            ["baseline", baseline],
            ["model", model],
          ] as const
        ).map(([name, bins]) => (
          <g key={name} className={`calibration-${name}`}>
            {bins.map((bin) => (
              <circle key={bin.bin_low} cx={x(bin.predicted)} cy={y(bin.observed)} r={radius(bin.count)} />
            ))}
          </g>
        ))}
        {model.map((bin) => (
          <text
            key={bin.bin_low}
            className="calibration-count halo"
            x={x(bin.predicted) + radius(bin.count) + 4}
            y={y(bin.observed) + 4}
            dy="0.32em"
          >
            {integer(bin.count)}
          </text>
        ))}
        <text x={x(0.5)} y={y(0) + 48} textAnchor="middle" className="strong">
          Chance the model gave
        </text>
        <text
          transform={`translate(${x(0) - 54} ${y(0.5)}) rotate(-90)`}
          textAnchor="middle"
          className="strong"
        >
          How often they won
        </text>
      </svg>
    </div>
  )
}
