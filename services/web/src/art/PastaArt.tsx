import { memo, useId, useRef, type ReactNode } from "react"
import { nth, randomFrom } from "./random.ts"
import { Extra, Piece } from "./shapes.tsx"
import { subjectOf, type Garnish, type Shape, type Subject } from "./subject.ts"
import { useNearView } from "./useNearView.ts"

const width = 480
const height = 360

interface Placement {
  x: number
  y: number
  angle: number
  scale: number
}

/**
 * A poster of a recipe's pasta, always the same for the same recipe: its ground at once, and the rest when it comes near what is
 * seen. Decoration: hidden from screen readers.
 */
export const PastaArt = memo(function PastaArt({
  recipe,
  className,
}: {
  recipe: Parameters<typeof subjectOf>[0]
  className?: string
}) {
  const subject = subjectOf(recipe)
  const poster = useRef<SVGSVGElement>(null)
  const near = useNearView(poster)
  return (
    <svg
      ref={poster}
      className={className}
      viewBox={`0 0 ${width} ${height}`}
      preserveAspectRatio="xMidYMid slice"
      aria-hidden="true"
      focusable="false"
    >
      <rect width={width} height={height} fill={subject.palette.ground} />
      {near && <Composition subject={subject} />}
    </svg>
  )
})

function Composition({ subject }: { subject: Subject }): ReactNode {
  const { pasta } = subject
  switch (pasta.kind) {
    case "strands":
      return <Plate subject={subject} strand={pasta.width} />
    case "sheets":
      return <Layers subject={subject} />
    case "pieces":
      return <Table subject={subject} shape={pasta.shape} />
  }
}

/** Pieces loose on the table, in rows that a hand has shaken, with a garnish here and there. */
function Table({ subject, shape }: { subject: Subject; shape: Shape }) {
  const id = useId()
  const { palette, garnishes, seed } = subject
  const random = randomFrom(seed)
  const tidy = random() < 0.4
  const step = tidy ? 88 : 92
  const tilt = random() * 180
  const items: ReactNode[] = []
  let index = 0
  for (let row = -1; row * step < height + step; row++) {
    for (let column = -1; column * step < width + step; column++) {
      const shake = tidy ? 0 : 18
      const place: Placement = {
        x: (column + (row % 2 === 0 ? 0.25 : 0.75)) * step + (random() - 0.5) * shake,
        y: (row + 0.5) * step * 0.94 + (random() - 0.5) * shake,
        angle: tidy ? tilt + (column % 2 === 0 ? 0 : 64) : random() * 360,
        scale: tidy ? 0.92 : 0.88 + random() * 0.16,
      }
      const garnish = index++ % 5 === 2 ? nth(garnishes, Math.floor(random() * garnishes.length)) : undefined
      items.push(
        <g key={index} transform={placed(garnish ? { ...place, scale: place.scale * 0.88 } : place)}>
          {garnish ? <Extra garnish={garnish} /> : <use href={`#${id}`} />}
        </g>,
      )
    }
  }
  return (
    <>
      <defs>
        <g id={id}>
          <Piece shape={shape} palette={palette} />
        </g>
      </defs>
      {items}
    </>
  )
}

/** Long pasta, twirled into a nest on a plate that the picture's edge cuts. */
function Plate({ subject, strand }: { subject: Subject; strand: number }) {
  const { palette, garnishes, seed } = subject
  const random = randomFrom(seed)
  const x = width * (0.4 + random() * 0.2)
  const y = height * (0.48 + random() * 0.08)
  const reach = 140
  const turns: ReactNode[] = []
  for (let radius = reach; radius > 10; radius -= strand * 0.7 + 1.4) {
    const path = wobblyRing(radius, random)
    turns.push(
      <g key={radius} transform={placed(loosely(radius, random))} fill="none">
        <path d={path} stroke={palette.line} strokeWidth={strand + 3.4} />
        <path d={path} stroke={random() < 0.24 ? palette.shade : palette.pasta} strokeWidth={strand} />
      </g>,
    )
  }
  return (
    <g transform={`translate(${x} ${y})`}>
      <circle r={214} fill={palette.plate} />
      <circle r={214} fill="none" stroke={palette.line} strokeWidth={3} />
      <circle r={170} fill="none" stroke={palette.line} strokeOpacity={0.35} strokeWidth={2.4} />
      {turns}
      {scattered(garnishes, 5, random).map(({ garnish, place }, index) => (
        <g key={index} transform={placed(place)}>
          <Extra garnish={garnish} />
        </g>
      ))}
    </g>
  )
}

/** Sheets with ruffled edges between layers of sauce. */
function Layers({ subject }: { subject: Subject }) {
  const { palette, garnishes, seed } = subject
  const random = randomFrom(seed)
  const sauces = ["#b83a22", "#fff3da", "#7d2c1c"]
  const layers: ReactNode[] = []
  for (let y = 84, index = 0; y < height + 40; y += 52, index++) {
    const top = ruffle(y, 9, 30, random)
    const sauce = nth(sauces, index)
    layers.push(
      <g key={y} stroke={palette.line} strokeWidth={3} strokeLinejoin="round">
        <path d={`${ruffle(y - 26, 6, 74, random)}V${height + 40}H-20Z`} fill={sauce} />
        <path d={`${top}V${height + 40}H-20Z`} fill={palette.pasta} />
        <path d={ruffle(y + 13, 4, 30, random)} fill="none" stroke={palette.shade} strokeWidth={5} />
      </g>,
    )
  }
  return (
    <>
      {layers}
      {Array.from({ length: 4 }, (_, index) => (
        <g
          key={index}
          transform={placed({
            x: 70 + index * 114,
            y: 44 + random() * 16,
            angle: random() * 360,
            scale: 0.62,
          })}
        >
          <Extra garnish={nth(garnishes, index)} />
        </g>
      ))}
    </>
  )
}

/** Turns of a nest are not round its middle; the outer ones stray furthest. */
function loosely(radius: number, random: () => number): Placement {
  const stray = radius * 0.16
  return { x: (random() - 0.5) * stray, y: (random() - 0.5) * stray, angle: random() * 360, scale: 1 }
}

function placed({ x, y, angle, scale }: Placement): string {
  return `translate(${round(x)} ${round(y)}) rotate(${round(angle)}) scale(${round(scale)})`
}

function scattered(
  garnishes: Garnish[],
  count: number,
  random: () => number,
): { garnish: Garnish; place: Placement }[] {
  const start = random() * 360
  return Array.from({ length: count }, (_, index) => {
    const direction = ((start + (index * 360) / count + random() * 30) * Math.PI) / 180
    const distance = index % 2 === 0 ? 56 + random() * 40 : 146 + random() * 12
    return {
      garnish: nth(garnishes, index),
      place: {
        x: Math.cos(direction) * distance,
        y: Math.sin(direction) * distance * 0.86,
        angle: random() * 360,
        scale: 0.56 + random() * 0.14,
      },
    }
  })
}

/** A closed curve around the origin that is nearly a circle. */
function wobblyRing(radius: number, random: () => number): string {
  const corners = 8
  const points = Array.from({ length: corners }, (_, index) => {
    const angle = (index / corners) * 2 * Math.PI
    const distance = radius * (0.93 + random() * 0.14)
    return [Math.cos(angle) * distance, Math.sin(angle) * distance * 0.86] as const
  })
  // Quadratic curves through the middles of the sides, with the corners as handles, close smoothly.
  const middle = (index: number): [number, number] => {
    const [ax, ay] = nth(points, index)
    const [bx, by] = nth(points, index + 1)
    return [round((ax + bx) / 2), round((ay + by) / 2)]
  }
  const curves = points.map((_, index) => {
    const [hx, hy] = nth(points, index + 1)
    return `Q${round(hx)} ${round(hy)} ${middle(index + 1).join(" ")}`
  })
  return `M${middle(0).join(" ")}${curves.join("")}Z`
}

/** A wavy line from the left edge past the right one. */
function ruffle(y: number, swing: number, length: number, random: () => number): string {
  const start = -20 - random() * length
  const waves = Math.ceil((width + 60 + length) / length)
  return `M${round(start)} ${round(y)}q${length / 4} ${-swing} ${length / 2} 0t${length / 2} 0${`t${length / 2} 0`.repeat((waves - 1) * 2)}`
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}
