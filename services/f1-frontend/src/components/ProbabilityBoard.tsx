import { useId, useState } from "react"
import { Link } from "react-router"
import type { Contribution, Prediction } from "../api/types.ts"
import { ChartFigure } from "../charts/ChartFigure.tsx"
import { list, ordinal, percent } from "../format.ts"
import { teamColor } from "../teams.ts"
import { byRank, featureValue, chanceEffect } from "../words.ts"
import { DataTable } from "./DataTable.tsx"
import { MoreButton } from "./MoreButton.tsx"
import "./probability-board.css"

const SHOWN_FIRST = 10

/** All drivers of a race by their chance to win; each opens to show what drives it. */
export function ProbabilityBoard({
  predictions,
  subtitle,
}: {
  predictions: Prediction[]
  subtitle?: string
}) {
  const [all, setAll] = useState(false)
  const ranked = byRank(predictions)
  const shown = all ? ranked : ranked.slice(0, SHOWN_FIRST)
  const leaders = ranked.slice(0, 3).map((entry) => `${entry.driver.name} ${percent(entry.win)}`)
  return (
    <ChartFigure
      title="Chances to win and to reach the podium"
      subtitle={subtitle}
      summary={`Ranked bars. Chances to win: ${list(leaders)}.`}
      table={<PredictionTable predictions={ranked} />}
    >
      <div className="board-head" aria-hidden="true">
        <span className="board-head-win">Win</span>
        <span className="board-head-podium">Podium</span>
      </div>
      <ol className="board">
        {shown.map((prediction) => (
          <BoardRow key={prediction.driver.id} prediction={prediction} field={predictions.length} />
        ))}
      </ol>
      {ranked.length > SHOWN_FIRST && (
        <MoreButton
          open={all}
          onToggle={setAll}
          more={`Show all ${ranked.length} drivers`}
          less="Show the first ten"
        />
      )}
    </ChartFigure>
  )
}

function BoardRow({ prediction, field }: { prediction: Prediction; field: number }) {
  const [open, setOpen] = useState(false)
  const detailId = useId()
  const { driver, constructor, grid, win, podium, rank } = prediction
  return (
    <li className="board-item" style={{ "--team": teamColor(constructor.id) }}>
      <button
        type="button"
        className="board-row"
        aria-expanded={open}
        aria-controls={detailId}
        onClick={() => {
          setOpen(!open)
        }}
      >
        <span className="board-rank">{rank}</span>
        <span className="board-who">
          <span className="board-driver">{driver.name}</span>
          <span className="board-team">
            {constructor.name}
            {grid !== null && <span className="board-grid"> · starts {ordinal(grid)}</span>}
          </span>
        </span>
        <Chance of="win" value={win} />
        <Chance of="podium" value={podium} />
        <span className="board-chevron" aria-hidden="true" />
      </button>
      <div id={detailId} hidden={!open} className="board-detail">
        {open && <Contributions prediction={prediction} field={field} />}
      </div>
    </li>
  )
}

function Chance({ of, value }: { of: "win" | "podium"; value: number }) {
  return (
    <span className={`board-${of}`}>
      <span className="bar" style={{ "--share": value }} />
      <span className="board-value">
        <span className="visually-hidden">{of} </span>
        {percent(value)}
      </span>
    </span>
  )
}

/** What moved a prediction most, as signed bars around the model's average. */
function Contributions({ prediction, field }: { prediction: Prediction; field: number }) {
  const { driver, drivers_of_prediction: contributions, other_contributions: other } = prediction
  const largest = Math.max(...contributions.map((entry) => Math.abs(entry.contribution)), 0.01)
  return (
    <>
      <p className="note">
        What moves the chance of {driver.name} most, against an even share of {percent(1 / field)}. Bars to
        the right raise it, bars to the left lower it.{" "}
        <Link to={`/drivers/${driver.id}`}>More about {driver.name}</Link>
      </p>
      {contributions.length === 0 ? (
        <p className="note">No explanation is stored for this prediction.</p>
      ) : (
        <ul className="contributions">
          {contributions.map((entry) => (
            <ContributionBar key={entry.feature} entry={entry} largest={largest} />
          ))}
        </ul>
      )}
      {other !== null && (
        <p className="note">
          All else, with how strong the field is: {chanceEffect({ contribution: other })}. Multiplied, all of
          them make the even share the chance.
        </p>
      )}
    </>
  )
}

function ContributionBar({ entry, largest }: { entry: Contribution; largest: number }) {
  const raises = entry.contribution >= 0
  return (
    <li className={raises ? "contribution raises" : "contribution lowers"}>
      <span className="contribution-label">
        {entry.label} <span className="contribution-value">{featureValue(entry.value)}</span>
      </span>
      <span className="contribution-track" aria-hidden="true">
        <span style={{ "--share": Math.abs(entry.contribution) / largest }} />
      </span>
      <span className="contribution-effect">
        {raises ? "raises" : "lowers"}, {chanceEffect(entry)}
      </span>
    </li>
  )
}

function PredictionTable({ predictions }: { predictions: Prediction[] }) {
  return (
    <DataTable
      caption="Chances of each driver"
      rows={predictions}
      rowKey={(row) => row.driver.id}
      columns={[
        { id: "driver", header: "Driver", cell: (row) => row.driver.name, sort: (row) => row.driver.name },
        {
          id: "team",
          header: "Constructor",
          minor: true,
          cell: (row) => row.constructor.name,
          sort: (row) => row.constructor.name,
        },
        {
          id: "grid",
          header: "Grid",
          numeric: true,
          cell: (row) => row.grid ?? "–",
          sort: (row) => row.grid,
        },
        { id: "win", header: "Win", numeric: true, cell: (row) => percent(row.win), sort: (row) => row.win },
        {
          id: "podium",
          header: "Podium",
          numeric: true,
          cell: (row) => percent(row.podium),
          sort: (row) => row.podium,
        },
      ]}
    />
  )
}
