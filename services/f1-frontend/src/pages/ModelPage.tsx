import { useQuery } from "@tanstack/react-query"
import type { ReactNode } from "react"
import { useQueries } from "../api/queries.ts"
import type { ModelCard } from "../api/types.ts"
import { ChartFigure } from "../charts/ChartFigure.tsx"
import { IntervalChart } from "../charts/IntervalChart.tsx"
import { Answer } from "../components/Answer.tsx"
import { Calibration } from "../components/Calibration.tsx"
import { DataTable } from "../components/DataTable.tsx"
import { Figures } from "../components/Figures.tsx"
import { DemoNotice } from "../components/marks.tsx"
import { PageHead } from "../components/PageHead.tsx"
import { count, day, decimal, integer, list, moment, percent, signed } from "../format.ts"
import { lossOf, seasonWords } from "../words.ts"
import "./model.css"

/** What the model in service is, how good it is, and what it is not for. */
export default function ModelPage() {
  const query = useQuery(useQueries().model())
  return (
    <Answer query={query} label="the model card">
      {(card) => <Card card={card} />}
    </Answer>
  )
}

function Card({ card }: { card: ModelCard }) {
  const { low, high } = card.metrics.bootstrap.log_loss_difference
  return (
    <div className="stack">
      <div>
        {card.demo && <DemoNotice />}
        <PageHead
          title="Model card"
          kicker={`Model ${card.version}`}
          headline={verdict(low, high)}
          deck={card.intended_use}
        />
      </div>
      <Figures
        figures={[
          { label: "Data up to", value: day(card.data_cutoff), detail: "last race it was trained on" },
          {
            label: "Trained",
            value: moment(card.trained_at).split(",")[0],
            detail: moment(card.trained_at).split(",")[1],
          },
          {
            label: "Tested on",
            value: count(card.metrics.model.races, "race"),
            detail: `seasons ${list(card.metrics.seasons.map(String))}`,
          },
        ]}
      />
      <Scores card={card} />
      <Seasons card={card} />
      <Calibration calibration={card.calibration} seasons={card.metrics.seasons} />
      <Importance features={card.features} />
      <section className="prose" aria-labelledby="limits">
        <h2 id="limits" className="section-title">
          What it cannot do
        </h2>
        <ul>
          {card.limits.map((limit) => (
            <li key={limit}>{limit}</li>
          ))}
        </ul>
      </section>
      <section aria-labelledby="build">
        <h2 id="build" className="section-title">
          How it was built
        </h2>
        <dl className="build">
          <Fact name="Version">{card.version}</Fact>
          <Fact name="Source revision">{card.git_sha}</Fact>
          <Fact name="Feature schema">{card.feature_schema_hash}</Fact>
          <Fact name="Libraries">
            {Object.entries(card.libraries)
              .map(([name, version]) => `${name} ${version}`)
              .join(", ")}
          </Fact>
        </dl>
      </section>
    </div>
  )
}

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  )
}

/** What the interval of the difference to the baseline allows to say; below 0 the model is better. */
function verdict(low: number, high: number): string {
  if (high < 0) return "The model beats the grid"
  if (low > 0) return "The grid beats the model"
  return "The model and the grid are too close to call"
}

function Scores({ card: { metrics } }: { card: ModelCard }) {
  const { model, baseline, bootstrap } = metrics
  const { low, mid, high } = bootstrap.log_loss_difference
  const rows = [
    {
      name: "Winner called (higher is better)",
      model: percent(model.winner_top1),
      baseline: percent(baseline.winner_top1),
    },
    {
      name: "Podium places called (higher is better)",
      model: percent(model.podium_precision),
      baseline: percent(baseline.podium_precision),
    },
    {
      name: "Log-loss of the winner (lower is better)",
      model: decimal(model.winner_log_loss, 3),
      baseline: decimal(baseline.winner_log_loss, 3),
    },
    {
      name: "Brier score (lower is better)",
      model: decimal(model.brier, 3),
      baseline: decimal(baseline.brier, 3),
    },
    {
      name: "Log-loss of the podium (lower is better)",
      model: decimal(model.podium_log_loss, 3),
      baseline: decimal(baseline.podium_log_loss, 3),
    },
    {
      name: "Its favourites: said, then won",
      model: saidAndWon(model.favourite),
      baseline: saidAndWon(baseline.favourite),
    },
    {
      name: "Calibration error (lower is better)",
      model: decimal(model.ece, 3),
      baseline: decimal(baseline.ece, 3),
    },
  ]
  const interval = `${signed(mid, 3)}, 95% interval ${signed(low, 3)} to ${signed(high, 3)}`
  return (
    <div className="columns">
      <section aria-labelledby="scores">
        <h2 id="scores" className="section-title section-ruled">
          Scores beside the baseline
        </h2>
        <DataTable
          caption={`Walk-forward over ${count(model.races, "race")}; the baseline knows only the starting grid.`}
          captionShown
          rows={rows}
          rowKey={(row) => row.name}
          columns={[
            { id: "score", header: "Score", cell: (row) => row.name },
            { id: "model", header: "Model", numeric: true, cell: (row) => <b>{row.model}</b> },
            { id: "baseline", header: "Grid alone", numeric: true, cell: (row) => row.baseline },
          ]}
        />
      </section>
      <ChartFigure
        title="Could it be luck?"
        subtitle={`Difference in log-loss, with a 95% interval from ${integer(bootstrap.draws)} bootstrap draws over races. An interval that crosses zero could be.`}
        summary={`Difference in log-loss to the grid: ${interval}. Below zero the model is better.`}
        table={
          <DataTable
            caption="Difference in log-loss, model minus grid"
            rows={[{ low, mid, high }]}
            rowKey={() => "difference"}
            columns={[
              { id: "mid", header: "Median", numeric: true, cell: (row) => signed(row.mid, 3) },
              { id: "low", header: "2.5%", numeric: true, cell: (row) => signed(row.low, 3) },
              { id: "high", header: "97.5%", numeric: true, cell: (row) => signed(row.high, 3) },
            ]}
          />
        }
      >
        <IntervalChart low={low} mid={mid} high={high} />
      </ChartFigure>
    </div>
  )
}

function saidAndWon({ predicted, observed }: ModelCard["metrics"]["model"]["favourite"]): string {
  return `${percent(predicted)}, ${percent(observed)}`
}

/** The log-loss of every baseline, in all and season by season, and where one of them was better. */
function Seasons({ card: { metrics } }: { card: ModelCard }) {
  const { baselines, by_season: seasons, model } = metrics
  const rows = [
    { name: "model", label: "The model", all: model.winner_log_loss, difference: "" },
    ...baselines.map(({ name, label, scores, log_loss_difference: { mean, low, high } }) => ({
      name,
      label,
      all: scores.winner_log_loss,
      difference: `${signed(mean, 3)} (${signed(low, 3)} to ${signed(high, 3)})`,
    })),
  ]
  return (
    <section aria-labelledby="seasons">
      <h2 id="seasons" className="section-title section-ruled">
        Season by season
      </h2>
      <p className="prose">{seasonWords(metrics)}</p>
      <DataTable
        caption="Log-loss of the winner; lower is better. In brackets a 95% interval of the difference."
        captionShown
        rows={rows}
        rowKey={(row) => row.name}
        columns={[
          { id: "way", header: "Predicted by", cell: (row) => row.label },
          ...seasons.map(({ season, scores }) => ({
            id: String(season),
            header: String(season),
            numeric: true,
            cell: (row: (typeof rows)[number]) => decimal(lossOf(scores, row.name), 3),
          })),
          { id: "all", header: "All", numeric: true, cell: (row) => decimal(row.all, 3) },
          { id: "difference", header: "Model minus this", numeric: true, cell: (row) => row.difference },
        ]}
      />
    </section>
  )
}

function Importance({ features }: { features: ModelCard["features"] }) {
  const ranked = [...features].sort((a, b) => b.importance - a.importance)
  const largest = Math.max(...ranked.map((feature) => feature.importance), 0.001)
  const top = ranked.slice(0, 3).map((feature) => `${feature.label} ${percent(feature.importance)}`)
  return (
    <ChartFigure
      title="What it looks at"
      subtitle="Share of each feature in what moves the forecasts of the last seasons."
      summary={`Ranked bars of ${ranked.length} features. The most important: ${list(top)}.`}
      table={
        <DataTable
          caption="Features by importance"
          rows={ranked}
          rowKey={(row) => row.name}
          columns={[
            { id: "label", header: "Feature", cell: (row) => row.label, sort: (row) => row.label },
            { id: "name", header: "Name", minor: true, cell: (row) => <code>{row.name}</code> },
            {
              id: "importance",
              header: "Importance",
              numeric: true,
              cell: (row) => percent(row.importance),
              sort: (row) => row.importance,
            },
          ]}
        />
      }
    >
      <ul className="importance">
        {ranked.map((feature) => (
          <li key={feature.name}>
            <span>{feature.label}</span>
            <span
              className="importance-bar"
              aria-hidden="true"
              style={{ "--share": feature.importance / largest }}
            />
            <span className="importance-value">{percent(feature.importance)}</span>
          </li>
        ))}
      </ul>
    </ChartFigure>
  )
}
