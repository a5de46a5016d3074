import { useQuery } from "@tanstack/react-query"
import { Link, useParams } from "react-router"
import { useQueries } from "../api/queries.ts"
import type { Prediction, RaceDetail } from "../api/types.ts"
import { ChartFigure } from "../charts/ChartFigure.tsx"
import { SlopeChart, type Slope } from "../charts/SlopeChart.tsx"
import { Answer } from "../components/Answer.tsx"
import { DataTable } from "../components/DataTable.tsx"
import { DemoNotice, DriverLink } from "../components/marks.tsx"
import { PageHead } from "../components/PageHead.tsx"
import { ProbabilityBoard } from "../components/ProbabilityBoard.tsx"
import { day, list, percent, surname } from "../format.ts"
import { teamColor } from "../teams.ts"
import {
  byRank,
  circuitKind,
  endedHow,
  forecastDeck,
  forecastHeadline,
  outcome,
  weatherWords,
} from "../words.ts"
import { Provenance } from "./NextRacePage.tsx"
import { NotFoundPage } from "./NotFoundPage.tsx"
import "./race.css"

/** One race: the forecast beside the result. */
export default function RacePage() {
  const { season, round } = useParams()
  if (!/^\d{4}$/.test(season ?? "") || !/^\d{1,2}$/.test(round ?? "")) return <NotFoundPage what="race" />
  return <Race season={Number(season)} round={Number(round)} />
}

function Race({ season, round }: { season: number; round: number }) {
  const query = useQuery(useQueries().race(season, round))
  return (
    <Answer query={query} label="the race" missing={<NotFoundPage what="race" />}>
      {(detail) => <Comparison detail={detail} />}
    </Answer>
  )
}

function Comparison({ detail }: { detail: RaceDetail }) {
  const { race, predictions, weather } = detail
  const completed = race.status === "completed"
  return (
    <div className="stack">
      <div>
        {race.demo && <DemoNotice />}
        <PageHead
          title={`${race.name} ${race.season}`}
          kicker={
            <>
              <Link to={`/races?season=${race.season}`}>{race.season}</Link>, round {race.round}: {race.name}
            </>
          }
          headline={completed ? resultHeadline(detail) : forecastHeadline(detail)}
          deck={completed ? resultDeck(detail) : forecastDeck(detail)}
        />
        <p className="note race-note">
          {day(race.date)} · {race.circuit_name}, {circuitKind(race.circuit_type)}
          {weather && <> · {weatherWords(weather)}</>}
        </p>
        {detail.note && <p className="note">{detail.note}</p>}
      </div>
      {completed && predictions.length > 0 && <ForecastAndResult predictions={predictions} />}
      {predictions.length > 0 ? (
        <ProbabilityBoard
          predictions={predictions}
          subtitle={
            completed ? "As computed before the race." : "Open a driver to see what moves the forecast."
          }
        />
      ) : (
        <p className="note">No forecast was stored for this race.</p>
      )}
      <Provenance detail={detail} />
    </div>
  )
}

function resultHeadline({ race }: RaceDetail): string {
  if (race.winner === null) return race.name
  const name = surname(race.winner.name)
  if (race.hit === null) return `${name} won`
  return race.hit ? `${name} won, as forecast` : `${name} won against the forecast`
}

function resultDeck({ race, predictions }: RaceDetail): string | undefined {
  const winner = predictions.find((prediction) => prediction.driver.id === race.winner?.id)
  if (!winner || race.winner === null) return undefined
  const chance = `The model gave ${race.winner.name} a ${percent(winner.win)} chance.`
  const favourite = byRank(predictions)[0]
  if (race.hit || !favourite) return chance
  return `${chance} Its favourite was ${favourite.driver.name} with ${percent(favourite.win)}, ${endedHow(favourite)}.`
}

const EMPHASISED = 3

function ForecastAndResult({ predictions }: { predictions: Prediction[] }) {
  const ranked = byRank(predictions)
  const results = [...predictions].sort(
    (a, b) => (a.actual_position ?? Infinity) - (b.actual_position ?? Infinity) || a.rank - b.rank,
  )
  const places = new Map(results.map((entry, index) => [entry.driver.id, index + 1]))
  const slopes: Slope[] = ranked.map((entry) => ({
    id: entry.driver.id,
    name: surname(entry.driver.name),
    color: teamColor(entry.constructor.id),
    from: entry.rank,
    to: places.get(entry.driver.id) ?? ranked.length,
    toLabel: outcome(entry),
    emphasis: entry.rank <= EMPHASISED || (entry.actual_position ?? Infinity) <= EMPHASISED,
  }))
  const podium = results.filter((entry) => (entry.actual_position ?? Infinity) <= EMPHASISED)
  const told = podium.map((entry) => `${entry.driver.name}, ranked ${entry.rank}, finished ${outcome(entry)}`)
  return (
    <ChartFigure
      title="Forecast and result"
      subtitle="Order by chance to win on the left, finishing order on the right. The three favourites and the podium are in colour."
      summary={`Slope chart of ${ranked.length} drivers. ${list(told)}.`}
      table={
        <DataTable
          caption="Forecast and result of each driver"
          rows={ranked}
          rowKey={(row) => row.driver.id}
          columns={[
            {
              id: "driver",
              header: "Driver",
              cell: (row) => <DriverLink driver={row.driver} />,
              sort: (row) => row.driver.name,
            },
            {
              id: "rank",
              header: "Forecast",
              numeric: true,
              cell: (row) => row.rank,
              sort: (row) => row.rank,
            },
            {
              id: "win",
              header: "Win",
              numeric: true,
              cell: (row) => percent(row.win),
              sort: (row) => row.win,
            },
            {
              id: "podium",
              header: "Podium",
              numeric: true,
              cell: (row) => percent(row.podium),
              sort: (row) => row.podium,
            },
            {
              id: "grid",
              header: "Grid",
              numeric: true,
              cell: (row) => row.grid ?? "–",
              sort: (row) => row.grid,
            },
            {
              id: "result",
              header: "Result",
              numeric: true,
              cell: outcome,
              sort: (row) => row.actual_position,
            },
          ]}
        />
      }
    >
      <SlopeChart slopes={slopes} />
    </ChartFigure>
  )
}
