import { keepPreviousData, useQuery } from "@tanstack/react-query"
import type { ReactNode } from "react"
import { useQueries } from "../api/queries.ts"
import { Answer } from "../components/Answer.tsx"
import { DataTable } from "../components/DataTable.tsx"
import { DriverLink, TeamLink } from "../components/marks.tsx"
import { PageHead } from "../components/PageHead.tsx"
import { SeasonPage } from "../components/season.tsx"
import { seasonColumns, strongest } from "../components/standings.tsx"
import { surname } from "../format.ts"

/** The drivers of a season. */
export default function DriversPage() {
  return <SeasonPage begun>{(season, picker) => <Drivers season={season} picker={picker} />}</SeasonPage>
}

function Drivers({ season, picker }: { season: number; picker: ReactNode }) {
  const query = useQuery({ ...useQueries().drivers(season), placeholderData: keepPreviousData })
  return (
    <Answer query={query} label="the drivers">
      {(drivers) => (
        <div className="stack">
          <PageHead
            title={`Drivers of ${season}`}
            kicker={`Drivers of ${season}`}
            headline={strongest(drivers, season, surname)}
            deck="ELO measures who beats whom: it rises with every rival left behind, most against strong ones. Retirements leave it as it is. Points and ELO are those of Grands Prix, without sprints."
            controls={picker}
          />
          <DataTable
            caption={`Drivers of ${season}: standings and ELO`}
            rows={drivers}
            rowKey={(row) => row.id}
            columns={[
              {
                id: "driver",
                header: "Driver",
                cell: (row) => <DriverLink driver={row} />,
                sort: (row) => row.name,
              },
              {
                id: "team",
                header: "Constructor",
                minor: true,
                cell: (row) => (row.constructor ? <TeamLink team={row.constructor} /> : "–"),
                sort: (row) => row.constructor?.name ?? null,
              },
              ...seasonColumns,
            ]}
          />
        </div>
      )}
    </Answer>
  )
}
