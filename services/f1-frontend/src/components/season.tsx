import { useQuery } from "@tanstack/react-query"
import type { ReactNode } from "react"
import { useSearchParams } from "react-router"
import { useQueries } from "../api/queries.ts"
import { Answer, NoRaces, PageLoading } from "./Answer.tsx"
import "./season.css"

interface SeasonPickerProps {
  seasons: number[]
  /** Null stands for all seasons. */
  season: number | null
  /** Offers all seasons at once as well. */
  withAll?: boolean
}

/** Chooses the season, which is kept in the address so that it can be linked to and survives a reload. */
export function SeasonPicker({ seasons, season, withAll = false }: SeasonPickerProps) {
  const [, setParameters] = useSearchParams()
  return (
    <label className="season-picker">
      <span>Season</span>
      <select
        value={season ?? "all"}
        onChange={(event) => {
          const chosen = event.currentTarget.value
          setParameters((current) => {
            current.set("season", chosen)
            return current
          })
        }}
      >
        {withAll && <option value="all">All seasons</option>}
        {[...seasons].reverse().map((year) => (
          <option key={year} value={year}>
            {year}
          </option>
        ))}
      </select>
    </label>
  )
}

interface SeasonPageProps {
  /** The page is empty for a season not begun: without a season in the address, it shows the last that was. */
  begun?: boolean
  children: (season: number, picker: ReactNode) => ReactNode
}

/** Gives a page the season in the address (the latest one without it, or with one that is not there) and its picker. */
export function SeasonPage({ begun = false, children }: SeasonPageProps) {
  const query = useQuery(useQueries().seasons())
  return (
    <Answer query={query} label="the seasons">
      {(seasons) => {
        const latest = seasons.at(-1)
        if (latest === undefined) return <NoRaces />
        return (
          <ChosenSeason seasons={seasons} latest={latest} begun={begun}>
            {children}
          </ChosenSeason>
        )
      }}
    </Answer>
  )
}

interface ChosenSeasonProps extends Required<SeasonPageProps> {
  seasons: number[]
  latest: number
}

function ChosenSeason({ seasons, latest, begun, children }: ChosenSeasonProps) {
  const [parameters] = useSearchParams()
  const asked = Number(parameters.get("season"))
  const isAsked = seasons.includes(asked)
  const races = useQuery({ ...useQueries().races(latest), enabled: begun && !isAsked })
  if (races.isLoading) return <PageLoading label="the calendar" />
  const ahead = begun && races.data?.every((race) => race.status === "upcoming")
  const season = isAsked ? asked : ahead ? (seasons.at(-2) ?? latest) : latest
  return children(season, <SeasonPicker seasons={seasons} season={season} />)
}
