import { useQuery } from "@tanstack/react-query"
import { Link, useParams } from "react-router"
import { useQueries } from "../api/queries.ts"
import type { ConstructorDetail } from "../api/types.ts"
import { Answer } from "../components/Answer.tsx"
import { DataTable } from "../components/DataTable.tsx"
import { EloHistory } from "../components/EloHistory.tsx"
import { Figures } from "../components/Figures.tsx"
import { DriverLink } from "../components/marks.tsx"
import { PageHead } from "../components/PageHead.tsx"
import { SeasonResults } from "../components/SeasonResults.tsx"
import { Share } from "../components/Share.tsx"
import { points } from "../components/standings.tsx"
import { integer, ordinal, shortDay, signed } from "../format.ts"
import { teamColor } from "../teams.ts"
import { NotFoundPage } from "./NotFoundPage.tsx"

/** A constructor over all seasons. */
export default function ConstructorPage() {
  const { id = "" } = useParams()
  const query = useQuery(useQueries().team(id))
  return (
    <Answer query={query} label="the constructor" missing={<NotFoundPage what="constructor" />}>
      {(team) => (
        <div className="stack">
          <PageHead
            title={team.name}
            kicker={<Link to="/constructors">Constructors</Link>}
            headline={team.name}
            deck={<Drivers team={team} />}
          />
          <Figures
            figures={[
              {
                label: "ELO",
                value: integer(team.elo),
                detail: `${signed(team.elo_change)} in ${team.season}`,
              },
              {
                label: `Standings of ${team.season}`,
                value: ordinal(team.position),
                detail: `${points(team.points)} points`,
              },
              { label: `Wins in ${team.season}`, value: team.wins },
              { label: `Podiums in ${team.season}`, value: team.podiums },
            ]}
          />
          <EloHistory name={team.name} color={teamColor(team.id)} history={team.elo_history} />
          <SeasonResults results={team.results}>
            {(results) => (
              <DataTable
                caption={`Results of ${team.name}`}
                rows={results}
                rowKey={(row) => `${row.season}-${row.round}`}
                columns={[
                  {
                    id: "race",
                    header: "Race",
                    cell: (row) => <Link to={`/races/${row.season}/${row.round}`}>{row.race}</Link>,
                  },
                  {
                    id: "date",
                    header: "Date",
                    minor: true,
                    cell: (row) => shortDay(row.date),
                    sort: (row) => row.date,
                  },
                  {
                    id: "best",
                    header: "Best car",
                    numeric: true,
                    cell: (row) => row.best_position ?? "none finished",
                    sort: (row) => row.best_position,
                  },
                  {
                    id: "points",
                    header: "Points",
                    numeric: true,
                    cell: (row) => points(row.points),
                    sort: (row) => row.points,
                  },
                  {
                    id: "chance",
                    header: "Chance to win, both cars",
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

function Drivers({ team }: { team: ConstructorDetail }) {
  return (
    <>
      In {team.season} with{" "}
      {team.drivers.map((driver, index) => (
        <span key={driver.id}>
          {index > 0 && (index === team.drivers.length - 1 ? " and " : ", ")}
          <DriverLink driver={driver} />
        </span>
      ))}
      .
    </>
  )
}
