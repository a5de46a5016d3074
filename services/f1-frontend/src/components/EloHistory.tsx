import type { EloPoint } from "../api/types.ts"
import { ChartFigure } from "../charts/ChartFigure.tsx"
import { LineChart } from "../charts/LineChart.tsx"
import { seasonBoundaries, stepTicks } from "../charts/steps.ts"
import { day, integer } from "../format.ts"
import { DataTable } from "./DataTable.tsx"

interface EloHistoryProps {
  name: string
  color: string
  history: EloPoint[]
}

/** A rating over all seasons, with the seasons told apart. */
export function EloHistory({ name, color, history }: EloHistoryProps) {
  const [first] = history
  const last = history.at(-1)
  if (!first || !last) return <p className="note">{name} has no rated race yet.</p>
  const best = history.reduce((highest, point) => (point.elo > highest.elo ? point : highest), first)
  return (
    <ChartFigure
      title="ELO over the years"
      subtitle={`Highest: ${integer(best.elo)} after the ${best.race}, ${day(best.date)}. Between seasons (dashed) ratings move part of the way back to the average.`}
      summary={`Line chart over ${history.length} races from ${first.season} to ${last.season}. ELO started at ${integer(first.elo)}, was highest at ${integer(best.elo)} in ${best.season}, and is ${integer(last.elo)} now.`}
      table={
        <DataTable
          caption={`ELO of ${name} after each race`}
          rows={[...history].reverse()}
          rowKey={(row) => `${row.season}-${row.round}`}
          columns={[
            { id: "race", header: "Race", cell: (row) => row.race },
            { id: "date", header: "Date", cell: (row) => day(row.date), sort: (row) => row.date },
            {
              id: "elo",
              header: "ELO",
              numeric: true,
              cell: (row) => integer(row.elo),
              sort: (row) => row.elo,
            },
          ]}
        />
      }
    >
      <LineChart
        lines={[
          {
            id: name,
            label: name,
            color,
            emphasis: true,
            points: history.map((point, index) => ({ x: index, y: point.elo })),
          },
        ]}
        steps={history.map((point) => `${point.season} ${point.race}`)}
        ticks={stepTicks(history)}
        boundaries={seasonBoundaries(history)}
        sliderLabel={`Race at which to read the ELO of ${name}`}
      />
    </ChartFigure>
  )
}
