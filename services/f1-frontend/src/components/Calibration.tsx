import type { CalibrationBin, ModelCard } from "../api/types.ts"
import { CalibrationChart } from "../charts/CalibrationChart.tsx"
import { ChartFigure } from "../charts/ChartFigure.tsx"
import { count, integer, list, percent } from "../format.ts"
import { DataTable } from "./DataTable.tsx"

interface CalibrationProps {
  calibration: ModelCard["calibration"]
  seasons: number[]
}

/** The reliability diagram with how to read it. */
export function Calibration({ calibration: { model, baseline }, seasons }: CalibrationProps) {
  const rows = [
    ...model.map((bin) => ({ bin, who: "Model" })),
    ...baseline.map((bin) => ({ bin, who: "Grid alone" })),
  ]
  return (
    <div className="columns">
      <ChartFigure
        title="Is a 30% chance really 30%?"
        subtitle={`Calibration of win chances over ${list(seasons.map(String))}. Numbers beside the dots count forecasts.`}
        summary={calibrationSummary(model)}
        legend={
          <>
            <span>
              <span className="swatch" style={{ background: "var(--accent)" }} /> Model
            </span>
            <span>
              <span className="swatch swatch-hollow" /> Grid alone
            </span>
            <span>dashed: perfect · lines: 95% interval</span>
          </>
        }
        table={
          <DataTable
            caption="Calibration by range of chances"
            rows={rows}
            rowKey={(row) => `${row.who}-${row.bin.bin_low}`}
            columns={[
              {
                id: "range",
                header: "Range",
                cell: (row) => `${percent(row.bin.bin_low)} to ${percent(row.bin.bin_high)}`,
              },
              { id: "who", header: "Forecast by", cell: (row) => row.who, sort: (row) => row.who },
              {
                id: "predicted",
                header: "Said",
                numeric: true,
                cell: (row) => percent(row.bin.predicted),
                sort: (row) => row.bin.predicted,
              },
              {
                id: "observed",
                header: "Happened",
                numeric: true,
                cell: (row) => percent(row.bin.observed),
                sort: (row) => row.bin.observed,
              },
              {
                id: "count",
                header: "Forecasts",
                numeric: true,
                cell: (row) => integer(row.bin.count),
                sort: (row) => row.bin.count,
              },
            ]}
          />
        }
      >
        <CalibrationChart model={model} baseline={baseline} />
      </ChartFigure>
      <section className="prose" aria-labelledby="how-to-read">
        <h2 id="how-to-read" className="section-title">
          How to read it
        </h2>
        <p>
          Take all the times the model gave a driver about a 30% chance. If it is honest, those drivers won
          about 30% of the time, and the dot lies on the dashed line.
        </p>
        <p>
          A dot <b>above</b> the line: such drivers won more often than the model said; it was too cautious. A
          dot <b>below</b>: it was too confident.
        </p>
        <p>
          The line through a dot shows how far luck alone could have moved it. Big dots stand for many
          forecasts and have short lines. Small dots far to the right stand for a handful of races: as long as
          their line crosses the diagonal, they prove nothing.
        </p>
      </section>
    </div>
  )
}

/** Calibration in a sentence: the bins with at least a fifth of the largest count that are furthest off. */
function calibrationSummary(bins: CalibrationBin[]): string {
  const worst = [...bins].sort(
    (a, b) => Math.abs(b.observed - b.predicted) - Math.abs(a.observed - a.predicted),
  )[0]
  if (!worst) return "There are no forecasts to judge yet."
  return (
    `Scatter of predicted chance against observed frequency in ${count(bins.length, "range")}. Furthest from the diagonal: ` +
    `where the model said ${percent(worst.predicted)}, drivers won ${percent(worst.observed)} of ${count(worst.count, "time")}.`
  )
}
