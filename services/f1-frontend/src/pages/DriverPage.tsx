import { useQuery } from "@tanstack/react-query"
import { Link, useParams } from "react-router"
import { useQueries } from "../api/queries.ts"
import { Answer } from "../components/Answer.tsx"
import { DataTable } from "../components/DataTable.tsx"
import { EloHistory } from "../components/EloHistory.tsx"
import { Figures } from "../components/Figures.tsx"
import { TeamLink, TeamMark } from "../components/marks.tsx"
import { PageHead } from "../components/PageHead.tsx"
import { SeasonResults } from "../components/SeasonResults.tsx"
import { Share } from "../components/Share.tsx"
import { points } from "../components/standings.tsx"
import { integer, ordinal, shortDay, signed } from "../format.ts"
import { teamColor } from "../teams.ts"
import { NotFoundPage } from "./NotFoundPage.tsx"

/** A driver over all seasons. */
export default function DriverPage() {
  const { id = "" } = useParams()
  const query = useQuery(useQueries().driver(id))
  return (
    <Answer query={query} label="the driver" missing={<NotFoundPage what="driver" />}>
      {(driver) => (
        <div className="stack">
          <PageHead
            title={driver.name}
            kicker={<Link to="/drivers">Drivers</Link>}
            headline={driver.name}
            deck={
              driver.constructor && (
                <>
                  Last seen in {driver.season}, driving for <TeamLink team={driver.constructor} />.
                </>
              )
            }
          />
          <Figures
            figures={[
              {
                label: "ELO",
                value: integer(driver.elo),
                detail: `${signed(driver.elo_change)} in ${driver.season}`,
              },
              {
                label: `Standings of ${driver.season}`,
                value: ordinal(driver.position),
                detail: `${points(driver.points)} points`,
              },
              {
                label: `Wins in ${driver.season}`,
                value: driver.wins,
                detail: `${integer(wins(driver.results))} in all`,
              },
              { label: `Podiums in ${driver.season}`, value: driver.podiums },
            ]}
          />
          <EloHistory
            name={driver.name}
            color={driver.constructor ? teamColor(driver.constructor.id) : "var(--accent)"}
            history={driver.elo_history}
          />
          <SeasonResults results={driver.results}>
            {(results) => (
              <DataTable
                caption={`Results of ${driver.name}`}
                rows={results}
                rowKey={(row) => `${row.season}-${row.round}`}
                columns={[
                  {
                    id: "race",
                    header: "Race",
                    cell: (row) => (
                      <>
                        <TeamMark id={row.constructor.id} />
                        <Link to={`/races/${row.season}/${row.round}`}>{row.race}</Link>
                      </>
                    ),
                  },
                  {
                    id: "date",
                    header: "Date",
                    minor: true,
                    cell: (row) => shortDay(row.date),
                    sort: (row) => row.date,
                  },
                  {
                    id: "grid",
                    header: "Grid",
                    numeric: true,
                    cell: (row) => row.grid ?? "–",
                    sort: (row) => row.grid,
                  },
                  {
                    id: "position",
                    header: "Result",
                    numeric: true,
                    cell: (row) => row.position ?? row.status.toUpperCase(),
                    sort: (row) => row.position,
                  },
                  {
                    id: "points",
                    header: "Points",
                    numeric: true,
                    minor: true,
                    cell: (row) => points(row.points),
                    sort: (row) => row.points,
                  },
                  {
                    id: "chance",
                    header: "Chance to win",
                    cell: (row) => <Share value={row.win_probability} />,
                    sort: (row) => row.win_probability,
                  },
                ]}
              />
            )}
          </SeasonResults>
        </div>
      )}
    </Answer>
  )
}

function wins(results: { position: number | null }[]): number {
  return results.filter((result) => result.position === 1).length
}
