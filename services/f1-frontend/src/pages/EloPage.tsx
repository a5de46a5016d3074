import { keepPreviousData, useQuery } from "@tanstack/react-query"
import { useState, type ReactNode } from "react"
import { useSearchParams } from "react-router"
import { useQueries } from "../api/queries.ts"
import type { EloSeries } from "../api/types.ts"
import { ChartFigure } from "../charts/ChartFigure.tsx"
import { LineChart, type Line } from "../charts/LineChart.tsx"
import { stepTicks, type Step } from "../charts/steps.ts"
import { Answer } from "../components/Answer.tsx"
import { DataTable } from "../components/DataTable.tsx"
import { PageHead } from "../components/PageHead.tsx"
import { SeasonPage } from "../components/season.tsx"
import { integer, list, signed, surname } from "../format.ts"
import { teamColor } from "../teams.ts"
import "./elo.css"

type Kind = "driver" | "constructor"

/** Ratings of everyone over a season. */
export default function EloPage() {
  return <SeasonPage begun>{(season, picker) => <Ratings season={season} picker={picker} />}</SeasonPage>
}

function Ratings({ season, picker }: { season: number; picker: ReactNode }) {
  const [parameters, setParameters] = useSearchParams()
  const kind: Kind = parameters.get("kind") === "constructor" ? "constructor" : "driver"
  const queries = useQueries()
  const elo = useQuery({ ...queries.elo(season, kind), placeholderData: keepPreviousData })
  const races = useQuery({ ...queries.races(season), placeholderData: keepPreviousData })
  const drivers = useQuery({ ...queries.drivers(season), placeholderData: keepPreviousData })
  const teamOf = new Map(drivers.data?.map((driver) => [driver.id, driver.constructor?.id ?? driver.id]))
  const raceNames = new Map(races.data?.map((race) => [race.round, race.name]))
  const chooser = (
    <>
      <fieldset className="choice">
        <legend className="visually-hidden">Ratings of</legend>
        {(["driver", "constructor"] as const).map((option) => (
          <label key={option}>
            <input
              type="radio"
              name="kind"
              className="visually-hidden"
              checked={kind === option}
              onChange={() => {
                setParameters((current) => {
                  current.set("kind", option)
                  return current
                })
              }}
            />
            {option === "driver" ? "Drivers" : "Constructors"}
          </label>
        ))}
      </fieldset>
      {picker}
    </>
  )
  return (
    <Answer query={elo} label="the ratings">
      {(series) => (
        <div className="stack">
          <PageHead
            title={`ELO in ${season}`}
            kicker={`ELO ratings, ${season}`}
            headline={eloHeadline(series, kind)}
            deck="A rating says how strong someone is relative to the field. A gap of 100 points means finishing ahead about 64% of the time."
            controls={chooser}
          />
          <EloChart
            key={`${season}-${kind}`}
            season={season}
            kind={kind}
            series={series}
            colorOf={(id) => teamColor(kind === "driver" ? (teamOf.get(id) ?? id) : id)}
            raceName={(round) => raceNames.get(round) ?? `round ${round}`}
          />
        </div>
      )}
    </Answer>
  )
}

function latest(series: EloSeries): number {
  return series.points.at(-1)?.elo ?? 0
}

function gain(series: EloSeries): number {
  return latest(series) - (series.points[0]?.elo ?? 0)
}

function eloHeadline(series: EloSeries[], kind: Kind): string {
  const [risen] = [...series].sort((a, b) => gain(b) - gain(a))
  if (!risen) return "No ratings yet"
  return `${kind === "driver" ? surname(risen.name) : risen.name} gained the most`
}

const HIGHLIGHTED_FIRST = 5

interface EloChartProps {
  season: number
  kind: Kind
  series: EloSeries[]
  colorOf: (id: string) => string
  raceName: (round: number) => string
}

function EloChart({ season, kind, series, colorOf, raceName }: EloChartProps) {
  const ranked = [...series].sort((a, b) => latest(b) - latest(a))
  const [selected, setSelected] = useState(
    () => new Set(ranked.slice(0, HIGHLIGHTED_FIRST).map((entry) => entry.id)),
  )
  const rounds = [...new Set(series.flatMap((entry) => entry.points.map((point) => point.round)))].sort(
    (a, b) => a - b,
  )
  const steps: Step[] = rounds.map((round) => ({ season, round, race: raceName(round) }))
  const place = new Map(rounds.map((round, index) => [round, index]))
  const colorsSeen = new Set<string>()
  const lines: Line[] = ranked.map((entry) => {
    const color = colorOf(entry.id)
    const emphasis = selected.has(entry.id)
    const dashed = emphasis && colorsSeen.has(color)
    if (emphasis) colorsSeen.add(color)
    return {
      id: entry.id,
      label: kind === "driver" ? surname(entry.name) : entry.name,
      color,
      dashed,
      emphasis,
      points: entry.points.map((point) => ({ x: place.get(point.round) ?? 0, y: point.elo })),
    }
  })
  const top = ranked.slice(0, 3).map((entry) => `${entry.name} ${integer(latest(entry))}`)
  if (rounds.length === 0) return <p className="note">No race of {season} has been run yet.</p>
  return (
    <div>
      <ChartFigure
        title={kind === "driver" ? "All drivers" : "All constructors"}
        subtitle="Grey lines are the rest of the field. Move over the chart, or use the arrow keys, to read a round; a dashed line is a teammate."
        summary={`Line chart of ${series.length} ratings over ${rounds.length} rounds. Highest at the end: ${list(top)}.`}
        table={
          <DataTable
            caption={`ELO in ${season}`}
            rows={ranked}
            rowKey={(row) => row.id}
            columns={[
              {
                id: "name",
                header: kind === "driver" ? "Driver" : "Constructor",
                cell: (row) => row.name,
                sort: (row) => row.name,
              },
              {
                id: "start",
                header: "First",
                numeric: true,
                cell: (row) => integer(row.points[0]?.elo ?? 0),
                sort: (row) => row.points[0]?.elo ?? null,
              },
              { id: "end", header: "Last", numeric: true, cell: (row) => integer(latest(row)), sort: latest },
              { id: "gain", header: "Change", numeric: true, cell: (row) => signed(gain(row)), sort: gain },
            ]}
          />
        }
      >
        <LineChart
          lines={lines}
          steps={steps.map((step) => `Round ${step.round}, ${step.race}`)}
          ticks={stepTicks(steps)}
          sliderLabel="Round to read"
        />
      </ChartFigure>
      <fieldset className="highlights">
        <legend>Highlight</legend>
        {ranked.map((entry) => (
          <button
            key={entry.id}
            type="button"
            className="highlight"
            aria-pressed={selected.has(entry.id)}
            style={{ "--team": colorOf(entry.id) }}
            onClick={() => {
              const next = new Set(selected)
              if (!next.delete(entry.id)) next.add(entry.id)
              setSelected(next)
            }}
          >
            <span className="swatch" aria-hidden="true" />
            {kind === "driver" ? surname(entry.name) : entry.name}
          </button>
        ))}
      </fieldset>
    </div>
  )
}
