import { scaleLinear } from "@visx/scale"
import { signed } from "../format.ts"
import { paddedExtent } from "./layout.ts"
import { useChartWidth } from "./useChartWidth.ts"
import "./interval-chart.css"

interface IntervalChartProps {
  low: number
  mid: number
  high: number
}

// Room for half a label beyond the ends of the axis.
const EDGE = 22

/** One interval against zero: left of zero the model is better than the baseline. */
export function IntervalChart({ low, mid, high }: IntervalChartProps) {
  const { parentRef, width } = useChartWidth(480)
  const height = 116
  const x = scaleLinear({
    domain: paddedExtent([low, high, 0], 0.35),
    range: [EDGE, Math.max(width - EDGE, EDGE + 1)],
    nice: true,
  })
  const middle = 52
  return (
    <div ref={parentRef} className="interval" style={{ height }}>
      <svg width={width} height={height} aria-hidden="true">
        <rect
          className="interval-better"
          x={x.range()[0]}
          y={0}
          width={Math.max(x(0) - EDGE, 0)}
          height={88}
        />
        <text x={x(0) - 8} y={16} textAnchor="end">
          ◀ model better
        </text>
        <text x={x(0) + 8} y={16}>
          grid better ▶
        </text>
        <line className="zeroline" x1={x(0)} x2={x(0)} y1={0} y2={88} />
        <line className="interval-range" x1={x(low)} x2={x(high)} y1={middle} y2={middle} />
        <circle className="interval-mid" cx={x(mid)} cy={middle} r={7} />
        <text className="strong halo" x={x(mid)} y={middle + 26} textAnchor="middle">
          {signed(mid, 3)}
        </text>
        {x.ticks(5).map((tick) => (
          <text key={tick} x={x(tick)} y={108} textAnchor="middle">
            {signed(tick, 2)}
          </text>
        ))}
      </svg>
    </div>
  )
}
