import type { ReactNode } from "react"
import { useSearchParams } from "react-router"
import { SeasonPicker } from "./season.tsx"

interface SeasonResultsProps<Result> {
  /** Of all seasons, oldest first. */
  results: Result[]
  children: (results: Result[]) => ReactNode
}

/** One season of a career at a time: the one in the address, else the latest. */
export function SeasonResults<Result extends { season: number }>({
  results,
  children,
}: SeasonResultsProps<Result>) {
  const [parameters] = useSearchParams()
  const seasons = [...new Set(results.map((result) => result.season))]
  const asked = Number(parameters.get("season"))
  const season = seasons.includes(asked) ? asked : seasons.at(-1)
  if (season === undefined) return <p className="note">No results yet.</p>
  return (
    <section aria-labelledby="results">
      <div className="section-bar">
        <h2 id="results" className="section-title">
          Results, and the chance given before
        </h2>
        <SeasonPicker seasons={seasons} season={season} />
      </div>
      {children(results.filter((result) => result.season === season))}
    </section>
  )
}
