import { EmptyState } from "@f1/frontend-kit"
import { keepPreviousData, useQuery } from "@tanstack/react-query"
import { useState } from "react"
import { Link, useSearchParams } from "react-router"
import { useQueries } from "../api/queries.ts"
import type { PastPrediction, Performance } from "../api/types.ts"
import { AdvantageChart } from "../charts/AdvantageChart.tsx"
import { ChartFigure } from "../charts/ChartFigure.tsx"
import { cumulative } from "../charts/layout.ts"
import { seasonBoundaries, stepTicks } from "../charts/steps.ts"
import { Answer, NoRaces } from "../components/Answer.tsx"
import { Calibration } from "../components/Calibration.tsx"
import { DataTable } from "../components/DataTable.tsx"
import { Figures } from "../components/Figures.tsx"
import { HitMark } from "../components/marks.tsx"
import { MonitoringPanel } from "../components/MonitoringPanel.tsx"
import { MoreButton } from "../components/MoreButton.tsx"
import { PageHead } from "../components/PageHead.tsx"
import { SeasonPicker } from "../components/season.tsx"
import { decimal, integer, percent, shortDay, signed, surname } from "../format.ts"
import { leads, recordHeadline } from "../words.ts"

/** How past forecasts fared, against a baseline that knows only the grid. */
export default function PerformancePage() {
  const [parameters] = useSearchParams()
  const queries = useQueries()
  const seasons = useQuery(queries.seasons())
  return (
    <Answer query={seasons} label="the seasons">
      {(years) => {
        if (years.length === 0) return <NoRaces />
        const asked = Number(parameters.get("season"))
        return <Record years={years} season={years.includes(asked) ? asked : null} />
      }}
    </Answer>
  )
}

function Record({ years, season }: { years: number[]; season: number | null }) {
  const queries = useQueries()
  const performance = useQuery({ ...queries.performance(season), placeholderData: keepPreviousData })
  const model = useQuery(queries.model())
  const monitoring = useQuery(queries.monitoring())
  const picker = <SeasonPicker seasons={years} season={season} withAll />
  return (
    <Answer query={performance} label="past predictions">
      {({ predictions, totals }) => (
        <div className="stack">
          <PageHead
            title="Performance"
            kicker={season === null ? "All forecast seasons" : `The ${season} season`}
            headline={predictions.length === 0 ? "No forecast to judge yet" : recordHeadline(predictions)}
            deck="Every forecast here was made by a model that had only seen earlier races. The yardstick is a baseline that knows nothing but the starting grid."
            controls={picker}
          />
          {predictions.length === 0 ? (
            <EmptyState title="No past predictions for this season">
              <p>
                Choose another season, or run <code>python -m f1 predict --backfill</code> on the backend to
                make out-of-sample forecasts for it.
              </p>
            </EmptyState>
          ) : (
            <>
              <Totals totals={totals} />
              <Advantage predictions={predictions} />
            </>
          )}
          <Answer query={monitoring} label="the monitoring" part>
            {(report) => <MonitoringPanel report={report} />}
          </Answer>
          <Answer query={model} label="the calibration" part>
            {(card) => <Calibration calibration={card.calibration} seasons={card.metrics.seasons} />}
          </Answer>
          {predictions.length > 0 && <PastRaces predictions={predictions} />}
        </div>
      )}
    </Answer>
  )
}

function Totals({ totals }: { totals: Performance["totals"] }) {
  const { races, hits, podium_hits, winner_top1, podium_precision, log_loss, baseline_log_loss } = totals
  return (
    <Figures
      figures={[
        {
          label: "Winner called",
          value: winner_top1 === null ? "–" : percent(winner_top1),
          detail: `${integer(hits)} of ${integer(races)} races`,
        },
        {
          label: "Podium places called",
          value: podium_precision === null ? "–" : percent(podium_precision),
          detail: `${integer(podium_hits)} of ${integer(races * 3)} places`,
        },
        {
          label: "Log-loss, model",
          value: log_loss === null ? "–" : decimal(log_loss, 3),
          detail: "lower is better",
        },
        {
          label: "Log-loss, grid alone",
          value: baseline_log_loss === null ? "–" : decimal(baseline_log_loss, 3),
          detail:
            log_loss === null || baseline_log_loss === null
              ? undefined
              : `model ${signed(log_loss - baseline_log_loss, 3)}`,
        },
      ]}
    />
  )
}

function Advantage({ predictions }: { predictions: PastPrediction[] }) {
  const running = cumulative(leads(predictions))
  const total = running.at(-1) ?? 0
  const won = leads(predictions).filter((lead) => lead > 0).length
  const rows = predictions.map((prediction, index) => ({ prediction, running: running[index] ?? 0 }))
  return (
    <ChartFigure
      title="The model’s lead over the grid, race by race"
      subtitle="Running sum of the difference in log-loss. The line rises when the model gave the winner a better chance than the grid alone would, and falls when the grid knew better."
      summary={`Area chart over ${predictions.length} races. The model was better in ${won} of them; at the end its lead is ${signed(total, 2)}.`}
      table={
        <DataTable
          caption="Log-loss of each race and the running lead"
          rows={rows}
          rowKey={(row) => `${row.prediction.season}-${row.prediction.round}`}
          columns={[
            { id: "race", header: "Race", cell: (row) => `${row.prediction.season} ${row.prediction.race}` },
            {
              id: "model",
              header: "Model",
              numeric: true,
              cell: (row) => decimal(row.prediction.log_loss),
              sort: (row) => row.prediction.log_loss,
            },
            {
              id: "baseline",
              header: "Grid alone",
              numeric: true,
              cell: (row) => decimal(row.prediction.baseline_log_loss),
              sort: (row) => row.prediction.baseline_log_loss,
            },
            { id: "lead", header: "Running lead", numeric: true, cell: (row) => signed(row.running, 2) },
          ]}
        />
      }
    >
      <AdvantageChart
        values={running}
        notes={turningPoints(predictions)}
        ticks={stepTicks(predictions)}
        boundaries={seasonBoundaries(predictions)}
      />
    </ChartFigure>
  )
}

/** The races that moved the lead most, up and down, with who won at what chance. */
function turningPoints(predictions: PastPrediction[]): { x: number; label: string }[] {
  const swings = leads(predictions).map((lead, x) => ({ lead, x }))
  const ordered = swings.sort((a, b) => b.lead - a.lead)
  const best = ordered.filter((swing) => swing.lead > 0).slice(0, 1)
  const worst = ordered.filter((swing) => swing.lead < 0).slice(-1)
  return [...best, ...worst].flatMap(({ x }) => {
    const prediction = predictions[x]
    if (!prediction) return []
    const { race, season, winner, winner_probability } = prediction
    return [{ x, label: `${race} ${season}: ${surname(winner.name)} won at ${percent(winner_probability)}` }]
  })
}

const SHOWN_FIRST = 24

function PastRaces({ predictions }: { predictions: PastPrediction[] }) {
  const [all, setAll] = useState(false)
  const latestFirst = predictions.toReversed()
  return (
    <section aria-labelledby="past-races">
      <h2 id="past-races" className="section-title">
        Race by race
      </h2>
      <DataTable
        caption="Past predictions"
        rows={all ? latestFirst : latestFirst.slice(0, SHOWN_FIRST)}
        rowKey={(row) => `${row.season}-${row.round}`}
        columns={[
          {
            id: "race",
            header: "Race",
            cell: (row) => <Link to={`/races/${row.season}/${row.round}`}>{row.race}</Link>,
            sort: (row) => row.race,
          },
          {
            id: "date",
            header: "Date",
            minor: true,
            cell: (row) => `${shortDay(row.date)} ${row.season}`,
            sort: (row) => row.date,
          },
          {
            id: "favourite",
            header: "Favourite",
            cell: (row) => `${surname(row.predicted_winner.name)} ${percent(row.probability)}`,
            sort: (row) => row.probability,
          },
          {
            id: "winner",
            header: "Winner",
            cell: (row) => `${surname(row.winner.name)} ${percent(row.winner_probability)}`,
            sort: (row) => row.winner_probability,
          },
          {
            id: "hit",
            header: "Call",
            cell: (row) => <HitMark hit={row.hit} />,
            sort: (row) => Number(row.hit),
          },
          {
            id: "podium",
            header: "Podium",
            numeric: true,
            minor: true,
            cell: (row) => `${row.podium_hits} of 3`,
            sort: (row) => row.podium_hits,
          },
          {
            id: "lead",
            header: "Lead on grid",
            numeric: true,
            minor: true,
            cell: (row) => signed(row.baseline_log_loss - row.log_loss, 2),
            sort: (row) => row.baseline_log_loss - row.log_loss,
          },
        ]}
      />
      {predictions.length > SHOWN_FIRST && (
        <MoreButton
          open={all}
          onToggle={setAll}
          more={`Show all ${predictions.length} races`}
          less={`Show the last ${SHOWN_FIRST}`}
        />
      )}
    </section>
  )
}
