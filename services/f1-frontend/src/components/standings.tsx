import type { DriverRow } from "../api/types.ts"
import { decimal, integer, signed } from "../format.ts"
import type { Column } from "./DataTable.tsx"

type SeasonFigures = Pick<
  DriverRow,
  "name" | "elo" | "elo_change" | "wins" | "podiums" | "points" | "position"
>

/** The columns that tables of drivers and of constructors share. */
export const seasonColumns: Column<SeasonFigures>[] = [
  {
    id: "position",
    header: "Place",
    numeric: true,
    cell: (row) => row.position,
    sort: (row) => row.position,
  },
  {
    id: "points",
    header: "Points",
    numeric: true,
    cell: (row) => points(row.points),
    sort: (row) => row.points,
  },
  {
    id: "wins",
    header: "Wins",
    numeric: true,
    minor: true,
    cell: (row) => row.wins,
    sort: (row) => row.wins,
  },
  {
    id: "podiums",
    header: "Podiums",
    numeric: true,
    minor: true,
    cell: (row) => row.podiums,
    sort: (row) => row.podiums,
  },
  { id: "elo", header: "ELO", numeric: true, cell: (row) => integer(row.elo), sort: (row) => row.elo },
  {
    id: "change",
    header: "Change",
    numeric: true,
    cell: (row) => signed(row.elo_change),
    sort: (row) => row.elo_change,
  },
]

/** Points, which are whole but for a few halves. */
export function points(value: number): string {
  return Number.isInteger(value) ? integer(value) : decimal(value, 1)
}

/** Who has the highest rating, in a headline; `say` is how a name is said. */
export function strongest(rows: SeasonFigures[], season: number, say: (name: string) => string): string {
  const best = [...rows].sort((a, b) => b.elo - a.elo)[0]
  if (!best) return `Nobody has raced in ${season} yet`
  return `${say(best.name)} has the highest rating`
}
