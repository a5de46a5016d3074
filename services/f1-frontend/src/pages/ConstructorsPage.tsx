import { keepPreviousData, useQuery } from "@tanstack/react-query"
import type { ReactNode } from "react"
import { useQueries } from "../api/queries.ts"
import { Answer } from "../components/Answer.tsx"
import { DataTable } from "../components/DataTable.tsx"
import { TeamLink } from "../components/marks.tsx"
import { PageHead } from "../components/PageHead.tsx"
import { SeasonPage } from "../components/season.tsx"
import { seasonColumns, strongest } from "../components/standings.tsx"
import { list, surname } from "../format.ts"

/** The constructors of a season. */
export default function ConstructorsPage() {
  return <SeasonPage begun>{(season, picker) => <Constructors season={season} picker={picker} />}</SeasonPage>
}

function Constructors({ season, picker }: { season: number; picker: ReactNode }) {
  const query = useQuery({ ...useQueries().constructors(season), placeholderData: keepPreviousData })
  return (
    <Answer query={query} label="the constructors">
      {(teams) => (
        <div className="stack">
          <PageHead
            title={`Constructors of ${season}`}
            kicker={`Constructors of ${season}`}
            headline={strongest(teams, season, (name) => name)}
            deck="A constructor’s ELO compares the average finish of its cars with that of the others. Retirements leave it as it is."
            controls={picker}
          />
          <DataTable
            caption={`Constructors of ${season}: standings and ELO`}
            rows={teams}
            rowKey={(row) => row.id}
            columns={[
              {
                id: "team",
                header: "Constructor",
                cell: (row) => <TeamLink team={row} />,
                sort: (row) => row.name,
              },
              {
                id: "drivers",
                header: "Drivers",
                minor: true,
                cell: (row) => list(row.drivers.map((driver) => surname(driver.name))),
              },
              ...seasonColumns,
            ]}
          />
        </div>
      )}
    </Answer>
  )
}
