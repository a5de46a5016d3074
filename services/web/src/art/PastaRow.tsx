import { Extra, Piece } from "./shapes.tsx"
import type { Shape } from "./subject.ts"

const shapes: Shape[] = ["farfalle", "penne", "conchiglie", "fusilli", "ravioli", "rigatoni", "orecchiette"]
const palette = { ground: "none", pasta: "#f6d384", shade: "#e2a64c", line: "#4a2413", plate: "none" }

/** A frieze of pasta shapes and a leaf of basil: decoration. */
export function PastaRow() {
  const step = 112
  return (
    <svg
      className="pasta-row"
      viewBox={`0 0 ${step * (shapes.length + 1)} 110`}
      aria-hidden="true"
      focusable="false"
    >
      {shapes.map((shape, index) => (
        <g
          key={shape}
          transform={`translate(${step * (index + 0.5)} 55) rotate(${index % 2 === 0 ? -12 : 18})`}
        >
          <Piece shape={shape} palette={palette} />
        </g>
      ))}
      <g transform={`translate(${step * (shapes.length + 0.5)} 55) rotate(24)`}>
        <Extra garnish="basil" />
      </g>
    </svg>
  )
}
