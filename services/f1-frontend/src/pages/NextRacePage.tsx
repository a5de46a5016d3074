import { EmptyState } from "@f1/frontend-kit"
import { useQuery } from "@tanstack/react-query"
import { Link } from "react-router"
import { useQueries } from "../api/queries.ts"
import type { RaceDetail } from "../api/types.ts"
import { Answer, NoRaces } from "../components/Answer.tsx"
import { DemoNotice } from "../components/marks.tsx"
import { PageHead } from "../components/PageHead.tsx"
import { ProbabilityBoard } from "../components/ProbabilityBoard.tsx"
import { countdown, day, daysUntil, moment, percent } from "../format.ts"
import { byRank, circuitKind, forecastDeck, forecastHeadline, weatherWords } from "../words.ts"
import "./race.css"

/** The forecast for the next race. */
export function NextRacePage() {
  const query = useQuery(useQueries().nextRace())
  return (
    <Answer query={query} label="the next race" missing={<NoNextRace />}>
      {(detail) => <Forecast detail={detail} />}
    </Answer>
  )
}

function Forecast({ detail }: { detail: RaceDetail }) {
  const { race, predictions } = detail
  const favourite = byRank(predictions)[0]
  return (
    <div className="stack">
      <div>
        {race.demo && <DemoNotice />}
        <div className="race-hero">
          <PageHead
            title={race.name}
            kicker={`Round ${race.round} of ${race.season}: ${race.name}`}
            headline={forecastHeadline(detail)}
            deck={
              favourite && (
                <>
                  <b>
                    {favourite.driver.name} has a {percent(favourite.win)} chance to win.
                  </b>{" "}
                  {forecastDeck(detail)}
                </>
              )
            }
          />
          <RaceFacts detail={detail} />
        </div>
        {detail.note && <p className="note">{detail.note}</p>}
      </div>
      <ProbabilityBoard
        predictions={predictions}
        subtitle="Open a driver to see what moves the forecast. Bars have the colour of the constructor."
      />
      <Provenance detail={detail} />
    </div>
  )
}

function RaceFacts({ detail: { race, stage, weather } }: { detail: RaceDetail }) {
  const past = daysUntil(race.date, new Date()) < 0
  return (
    <dl className="race-facts">
      <div>
        <dt>Race day</dt>
        <dd>
          <b>{day(race.date)}</b>
          <span>
            {past
              ? `${countdown(race.date, new Date())}, result not ingested yet`
              : countdown(race.date, new Date())}
          </span>
        </dd>
      </div>
      <div>
        <dt>Circuit</dt>
        <dd>
          <b>{race.circuit_name}</b>
          <span>{circuitKind(race.circuit_type)}</span>
        </dd>
      </div>
      <div>
        <dt>Weather</dt>
        <dd>
          <b>{weather ? weatherWords(weather) : "Not known yet"}</b>
          {weather && <span>source: {weather.source}</span>}
        </dd>
      </div>
      <div>
        <dt>Forecast</dt>
        <dd>
          <b className="stage">{stage === "post-qualifying" ? "After qualifying" : "Before the weekend"}</b>
          <span>{stage === "post-qualifying" ? "the grid is known" : "the grid is not known yet"}</span>
        </dd>
      </div>
    </dl>
  )
}

/** Which model said so, and when. */
export function Provenance({
  detail: { model_version, generated_at, out_of_sample },
}: {
  detail: RaceDetail
}) {
  if (model_version === null) return null
  return (
    <p className="note">
      Model <Link to="/model">{model_version}</Link>
      {generated_at !== null && <>, computed {moment(generated_at)}</>}.{" "}
      {out_of_sample
        ? "It had not seen this race or any later one."
        : "It has seen this race, so these figures flatter it."}
    </p>
  )
}

function NoNextRace() {
  const seasons = useQuery(useQueries().seasons())
  if (seasons.data?.length === 0) return <NoRaces />
  return (
    <EmptyState
      title="No race is coming up"
      headingLevel={1}
      action={<Link to="/races">Look back at the races so far</Link>}
    >
      <p>
        Every ingested race has a result. The forecast returns when the next race is in the calendar: run{" "}
        <code>python -m f1 ingest jolpica</code> on the backend.
      </p>
    </EmptyState>
  )
}
