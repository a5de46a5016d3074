import type { ReactNode } from "react"
import type { Garnish, Palette, Shape } from "./subject.ts"

// Every drawing lies around (0, 0), within a radius of about 50.

/** One piece of pasta. */
export function Piece({ shape, palette }: { shape: Shape; palette: Palette }): ReactNode {
  const { pasta, shade, line } = palette
  const body = { fill: pasta, stroke: line, strokeWidth: 3, strokeLinejoin: "round" } as const
  const inside = { ...body, fill: shade }
  const crease = { fill: "none", stroke: line, strokeWidth: 2.2, strokeLinecap: "round" } as const
  switch (shape) {
    case "penne":
      return (
        <>
          <path {...body} d="M-15-46 15-32V46L-15 32Z" />
          <path {...crease} d="M-5-30V30M6-25V35" stroke={shade} strokeWidth={4} />
          <ellipse {...inside} cx={0} cy={-39} rx={17} ry={7} transform="rotate(25 0 -39)" />
        </>
      )
    case "rigatoni":
      return (
        <>
          <path {...body} d="M-23-36V36A23 9 0 0 0 23 36V-36Z" />
          <path {...crease} d="M-13-24V37M-4-22V39M5-22V39M14-24V37" stroke={shade} strokeWidth={3.4} />
          <ellipse {...inside} cx={0} cy={-36} rx={23} ry={9} />
        </>
      )
    case "farfalle":
      return (
        <>
          <path
            {...body}
            d="M0-10C-14-12-24-33-46-32l5 8-5 8 5 8-5 8 5 8-5 8 5 8-5 8C-24 33-14 12 0 10 14 12 24 33 46 32l-5-8 5-8-5-8 5-8-5-8 5-8-5-8 5-8C24-33 14-12 0-10Z"
          />
          <path
            {...crease}
            d="M-10-4C-18-8-24-15-33-17M-10 4C-18 8-24 15-33 17M10-4C18-8 24-15 33-17M10 4C18 8 24 15 33 17"
          />
          <path {...inside} d="M-7-11Q0-6 7-11 11 0 7 11 0 6-7 11-11 0-7-11Z" />
        </>
      )
    case "fusilli":
      return (
        <>
          {[36, 18, 0, -18, -36].map((y) => (
            <g key={y} transform={`translate(0 ${y}) rotate(-26)`}>
              <ellipse {...body} rx={25} ry={11.5} />
              <path {...crease} d="M-17 3Q0 11 17 3" stroke={shade} strokeWidth={4} />
            </g>
          ))}
        </>
      )
    case "conchiglie":
      return (
        <>
          <path {...body} d="M-45 6C-45-28-20-43 3-41 31-39 46-18 44 8 42 27 22 37 0 37-24 37-45 27-45 6Z" />
          <path
            {...crease}
            d="M-27 1-35-18M-14-3-18-33M0-4 2-38M14-3 23-33M27 1 38-16"
            stroke={shade}
            strokeWidth={4}
          />
          <path {...inside} d="M-35 8C-18-6 18-6 35 8 20 26-20 26-35 8Z" fill={line} />
          <path {...crease} d="M-24 12Q0 26 24 12" stroke={shade} />
        </>
      )
    case "orecchiette":
      return (
        <>
          <ellipse {...body} rx={42} ry={37} />
          <ellipse {...inside} cx={4} cy={4} rx={26} ry={21} />
          <path {...crease} d="M-31-8Q-28-22-14-27M-33 6-32 2M-12 4Q2-12 20-2" />
        </>
      )
    case "ravioli":
      return (
        <>
          <path {...body} d={pinkedSquare} />
          <rect {...inside} x={-25} y={-25} width={50} height={50} rx={17} />
          <path {...crease} d="M-14-4Q-12-15 0-16" stroke={pasta} strokeWidth={4} />
        </>
      )
    case "tortellini":
      return (
        <>
          <circle {...body} r={38} cy={4} />
          <path {...inside} d="M-38-2C-34-46 34-46 38-2 22-20-22-20-38-2Z" />
          <circle {...inside} r={11} cy={9} fill={line} />
          <path {...crease} d="M-24 20Q-14 31 0 32" stroke={shade} strokeWidth={4} />
        </>
      )
    case "gnocchi":
      return (
        <>
          <ellipse {...body} rx={39} ry={28} />
          <path
            {...crease}
            d="M-24-18Q-17 0-24 18M-9-24Q-1 0-9 24M8-24Q16 0 8 24M23-19Q30 0 23 19"
            stroke={shade}
            strokeWidth={4.5}
          />
        </>
      )
    case "macaroni":
      return (
        <>
          <path d="M-25 26A29 32 0 1 1 25 26" fill="none" stroke={line} strokeWidth={31} />
          <path d="M-25 25A29 32 0 1 1 25 25" fill="none" stroke={pasta} strokeWidth={25} />
          <path d="M-20 5A22 26 0 0 1 8-28" {...crease} stroke={shade} strokeWidth={4} />
          <ellipse {...inside} cx={-25} cy={26} rx={14} ry={6.5} transform="rotate(16 -25 26)" />
          <ellipse {...inside} cx={25} cy={26} rx={14} ry={6.5} transform="rotate(-16 25 26)" />
        </>
      )
    case "trofie":
      return (
        <>
          <path
            {...body}
            d="M-5-47C14-38 10-24 4-17 20-10 14 6 4 11 17 20 12 36 2 47-4 36-8 31-11 26-3 19-13 15-15 2-8-5-17-14-13-27-9-35-7-40-5-47Z"
          />
          <path {...crease} d="M4-17Q-4-8-11-10M4 11Q-4 20-11 17" />
        </>
      )
    case "orzo":
      return (
        <>
          <path {...body} d="M0-34C15-20 15 20 0 34-15 20-15-20 0-34Z" />
          <path {...crease} d="M-3-16Q-6 0-3 16" stroke={shade} strokeWidth={4} />
        </>
      )
  }
}

const pinkedSquare = squareOfScallops(41, 6)

function squareOfScallops(half: number, count: number): string {
  const step = (2 * half) / count
  const side = (dx: number, dy: number) =>
    `a${step / 2} ${step / 2} 0 0 1 ${dx * step} ${dy * step}`.repeat(count)
  return `M${-half} ${-half}${side(1, 0)}${side(0, 1)}${side(-1, 0)}${side(0, -1)}Z`
}

const green = "#4f8a4c"
const darkGreen = "#1f4a2c"
const red = "#d8402b"
const darkRed = "#6d1712"
const cream = "#fff6e2"
const brown = "#5b3a22"

/** What goes with the pasta. Colours are its own, with an outline that stands on every ground. */
export function Extra({ garnish }: { garnish: Garnish }): ReactNode {
  const outlined = { strokeWidth: 3, strokeLinejoin: "round", strokeLinecap: "round" } as const
  switch (garnish) {
    case "basil":
      return (
        <g {...outlined} stroke={darkGreen}>
          <path d="M-2 40C-40 18-30-24 2-44 34-20 34 18-2 40Z" fill={green} />
          <path
            d="M-2 46C0 20 0-8 2-32M-1 18-16 4M0 18 16 6M0 0-12-12M1 0 13-12"
            fill="none"
            strokeWidth={2.2}
          />
        </g>
      )
    case "tomato":
      return (
        <g {...outlined} stroke={darkRed}>
          <circle r={36} cy={3} fill={red} />
          <path d="M-20 12Q-18 26-4 29" fill="none" stroke="#f58a6a" strokeWidth={5} />
          <path
            d="M0-30Q6-22 20-26 14-16 17-6 6-14 0-4-6-14-17-6-14-16-20-26-6-22 0-30L2-44"
            fill={green}
            stroke={darkGreen}
            strokeWidth={2.4}
          />
        </g>
      )
    case "lemon":
      return (
        <g {...outlined} stroke="#8a6412">
          <circle r={38} fill="#f6cf3f" />
          <circle r={30} fill="#fff3bd" strokeWidth={0} />
          {[0, 60, 120, 180, 240, 300].map((angle) => (
            <path
              key={angle}
              d="M0-4 11-24Q0-31-11-24Z"
              transform={`rotate(${angle})`}
              fill="#f4d65c"
              strokeWidth={0}
            />
          ))}
        </g>
      )
    case "chilli":
      return (
        <g {...outlined}>
          <path d="M-8-32C18-34 26-4 4 44-2 20-20-4-8-32Z" fill={red} stroke={darkRed} />
          <path d="M-10-30Q2-40 10-28 2-26-10-30ZM0-34Q2-46 12-48" fill={green} stroke={darkGreen} />
        </g>
      )
    case "mushroom":
      return (
        <g {...outlined} stroke={brown}>
          <path d="M-11 2Q-8 26-14 40 0 46 14 40 8 26 11 2Z" fill={cream} />
          <path d="M-42 6C-42-28-22-42 0-42S42-28 42 6Q22 14 0 14T-42 6Z" fill="#d9b48a" />
          <path d="M-24-10Q-20-24-6-29" fill="none" stroke="#f0d9b8" strokeWidth={5} />
        </g>
      )
    case "clam":
      return (
        <g {...outlined} stroke="#3a3247">
          <path d="M0 32C-26 32-46 8-42-12-30-36 30-36 42-12 46 8 26 32 0 32Z" fill="#efe2d6" />
          <path
            d="M0 30-30-19M0 30-11-28M0 30 11-28M0 30 30-19"
            fill="none"
            stroke="#a08aa0"
            strokeWidth={2.6}
          />
        </g>
      )
    case "garlic":
      return (
        <g {...outlined} stroke="#7a5a72">
          <path d="M2-44C2-28 30-16 32 10 32 32 14 40 0 40S-32 32-32 10C-30-16-4-28-4-44Z" fill={cream} />
          <path d="M-1-26C-16-8-18 16-12 36M1-26C14-8 18 16 12 36" fill="none" strokeWidth={2.2} />
        </g>
      )
    case "egg":
      return (
        <g {...outlined} stroke={brown}>
          <path
            d="M-4-40C24-44 44-20 40 6 38 34 8 44-16 36-42 28-46 2-36-14-28-28-20-38-4-40Z"
            fill={cream}
          />
          <circle r={18} fill="#f5a623" />
          <path d="M-9-5Q-6-11 1-12" fill="none" stroke="#ffd98a" strokeWidth={4} />
        </g>
      )
    case "peas":
      return (
        <g {...outlined} stroke={darkGreen}>
          {[
            [-18, -14],
            [16, -18],
            [0, 16],
          ].map(([x, y]) => (
            <g key={x}>
              <circle cx={x} cy={y} r={16} fill="#8bb556" />
              <path
                d="M-8-2Q-6-8 0-9"
                transform={`translate(${x} ${y})`}
                fill="none"
                stroke="#d3e6a0"
                strokeWidth={3.4}
              />
            </g>
          ))}
        </g>
      )
    case "olive":
      return (
        <g {...outlined} stroke="#1f1a2e">
          <ellipse rx={32} ry={26} fill="#4a3d5c" />
          <circle cx={11} cy={-4} r={10} fill="#1f1a2e" />
          <path d="M-22-4Q-18-16-6-18" fill="none" stroke="#8d7fa5" strokeWidth={4} />
        </g>
      )
    case "fish":
      return (
        <g {...outlined} stroke="#14303f">
          <path d="M-46 0C-28-24 8-24 26-4L46-20Q40 0 46 20L26 4C8 24-28 24-46 0Z" fill="#9fc0c9" />
          <path d="M-22-14Q-14 0-22 14M-6-6H12M-4 6H10" fill="none" strokeWidth={2.4} />
          <circle cx={-31} cy={-3} r={3} fill="#14303f" strokeWidth={0} />
        </g>
      )
    case "cheese":
      return (
        <g {...outlined} stroke="#7a4f12">
          <path d="M-42 6 22-28Q44-18 42 6Z" fill="#fbe3a2" />
          <path d="M-42 6H42V28H-42Z" fill="#f4cd74" />
          <circle cx={-16} cy={17} r={4.5} fill="#d99f3e" strokeWidth={0} />
          <circle cx={16} cy={18} r={6} fill="#d99f3e" strokeWidth={0} />
        </g>
      )
  }
}
