import { Extra } from "./shapes.tsx"

const strand = "M92 88c8-18 28-20 38-8s20 14 28 2 0-20-12-16-12 22 4 30"

/** A plate with the last strand on it: decoration where there is nothing to show. */
export function EmptyPlate() {
  return (
    <svg className="empty-plate" viewBox="0 0 260 150" aria-hidden="true" focusable="false">
      <g fill="none" strokeLinecap="round" strokeLinejoin="round">
        <ellipse cx="130" cy="86" rx="92" ry="56" className="plate-rim" strokeWidth="3" />
        <ellipse cx="130" cy="84" rx="62" ry="35" className="plate-well" strokeWidth="2.4" />
        <path d={strand} stroke="#4a2413" strokeWidth="9" />
        <path d={strand} stroke="#f6d384" strokeWidth="5" />
        <path
          d="M20 30v22c0 8 5 12 5 12v60M30 30v22c0 8-5 12-5 12M25 30v22"
          className="plate-rim"
          strokeWidth="3.4"
        />
        <path d="M238 124V30c-12 8-15 26-12 46h12" className="plate-rim" strokeWidth="3.4" />
      </g>
      <g transform="translate(176 60) rotate(30) scale(.42)">
        <Extra garnish="basil" />
      </g>
    </svg>
  )
}
