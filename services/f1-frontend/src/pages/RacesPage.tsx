import { keepPreviousData, useQuery } from "@tanstack/react-query"
import type { ReactNode } from "react"
import { Link } from "react-router"
import { useQueries } from "../api/queries.ts"
import type { RaceSummary } from "../api/types.ts"
import { Answer } from "../components/Answer.tsx"
import { DemoNotice, HitMark } from "../components/marks.tsx"
import { PageHead } from "../components/PageHead.tsx"
import { SeasonPage } from "../components/season.tsx"
import { count, integer, shortDay, surname } from "../format.ts"
import "./races.css"

/** A season's calendar: what was predicted, and what happened. */
export default function RacesPage() {
  return <SeasonPage>{(season, picker) => <Calendar season={season} picker={picker} />}</SeasonPage>
}

function Calendar({ season, picker }: { season: number; picker: ReactNode }) {
  const query = useQuery({ ...useQueries().races(season), placeholderData: keepPreviousData })
  return (
    <Answer query={query} label="the calendar">
      {(races) => {
        const judged = races.filter((race) => race.hit !== null)
        const hits = judged.filter((race) => race.hit).length
        const run = races.filter((race) => race.status === "completed").length
        return (
          <div className="stack">
            <div>
              {races.some((race) => race.demo) && <DemoNotice />}
              <PageHead
                title={`Races of ${season}`}
                kicker={`${count(races.length, "race")}, ${integer(run)} run`}
                headline={
                  judged.length === 0
                    ? `The ${season} season`
                    : `${integer(hits)} of ${integer(judged.length)} winners called`
                }
                deck="The favourite before each race, beside the driver who won it."
                controls={picker}
              />
            </div>
            <div>
              <div className="calendar-row calendar-head" aria-hidden="true">
                <span />
                <span>Race</span>
                <span>Predicted</span>
                <span>Won by</span>
              </div>
              <ol className="calendar">
                {races.map((race) => (
                  <CalendarRow key={race.round} race={race} />
                ))}
              </ol>
            </div>
          </div>
        )
      }}
    </Answer>
  )
}

function CalendarRow({ race }: { race: RaceSummary }) {
  return (
    <li className={race.hit ? "calendar-row called" : "calendar-row"}>
      <span className="calendar-round">{race.round}</span>
      <span className="calendar-race">
        <Link to={`/races/${race.season}/${race.round}`}>{race.name}</Link>
        <span className="calendar-meta">
          <time dateTime={race.date}>{shortDay(race.date)}</time> · {race.circuit_name}
        </span>
      </span>
      <span className="calendar-predicted">
        <span className="calendar-label">Predicted </span>
        {race.predicted_winner ? surname(race.predicted_winner.name) : "no forecast"}
      </span>
      <span className="calendar-winner">
        <span className="calendar-label">{race.status === "completed" ? "Won by " : "Result "}</span>
        {race.winner ? (
          <b>{surname(race.winner.name)}</b>
        ) : race.status === "upcoming" ? (
          "to come"
        ) : (
          "not known"
        )}
      </span>
      <span className="calendar-hit">
        <HitMark hit={race.hit} />
      </span>
    </li>
  )
}
