import { Link } from "react-router"
import type { Drift, Finding, Monitoring, WatchedStage } from "../api/types.ts"
import { count, decimal, integer, moment, percent, shortDay, surname } from "../format.ts"
import { driftWords, findingState, stageName, stageWords } from "../monitoringWords.ts"
import { DataTable } from "./DataTable.tsx"
import { Figures } from "./Figures.tsx"
import "./monitoring-panel.css"

/** Whether the forecasts hold that were kept before their races: what is proven, what was found, and the inputs. */
export function MonitoringPanel({ report }: { report: Monitoring }) {
  const { judged_at, outdated, alpha, stages, drift, findings } = report
  return (
    <section className="monitoring" aria-labelledby="monitoring">
      <h2 id="monitoring" className="section-title section-ruled">
        Is it still good enough?
      </h2>
      {judged_at === null ? (
        <p className="prose">
          The forecasts that were kept before their races have not been judged yet. A training does that, and{" "}
          <code>python -m f1 monitor</code> on the backend.
        </p>
      ) : (
        <div className="prose">
          {outdated && (
            <p role="status">
              <strong>Out of date.</strong> Results or forecasts have changed since {moment(judged_at)}, and
              nobody has judged them again.
            </p>
          )}
          {stages.map((stage) => (
            <p key={stage.stage}>{stageWords(stage)}</p>
          ))}
          {drift && <p>{driftWords(drift)}</p>}
          {alpha !== null && (
            <p>
              Evidence is looked at after every race. As long as the model is no worse than every baseline, it
              ever reaches the alarm with a chance of at most {percent(alpha)}.
            </p>
          )}
        </div>
      )}
      {findings.length > 0 && <Findings findings={findings} />}
      {stages
        .filter((stage) => stage.races.length + stage.left_out.length > 0)
        .map((stage) => (
          <Stage key={stage.stage} stage={stage} />
        ))}
      {drift && <Inputs drift={drift} />}
    </section>
  )
}

function Findings({ findings }: { findings: Finding[] }) {
  return (
    <ul className="findings" aria-label="Findings">
      {findings.map((finding) => (
        <li key={`${finding.kind}-${finding.raised_at}-${finding.message}`}>
          {finding.message}
          <small>
            Model {finding.model_version}, {moment(finding.raised_at)} · {findingState(finding)}
          </small>
        </li>
      ))}
    </ul>
  )
}

function Stage({ stage }: { stage: WatchedStage }) {
  const { alarm_at, evidence, evidence_better, log_loss, best, baselines, races, left_out } = stage
  const name = stageName(stage.stage)
  const strongest = baselines.find((baseline) => baseline.name === best)
  return (
    <>
      <Figures
        figures={[
          {
            label: `${name}: evidence that it is worse`,
            value: decimal(evidence, 1),
            detail: `alarm from ${integer(alarm_at)}; at the start 1`,
          },
          {
            label: "Evidence that it is better",
            value: decimal(evidence_better, 1),
            detail: "than every baseline",
          },
          {
            label: "Log-loss of kept forecasts",
            value: log_loss === null ? "–" : decimal(log_loss, 3),
            detail: `${count(races.length, "race")}, lower is better`,
          },
          {
            label: "Best baseline",
            value: strongest ? decimal(strongest.log_loss, 3) : "–",
            detail: strongest?.label ?? "none was kept",
          },
        ]}
      />
      <DataTable
        caption={`${name}: forecasts that were kept before the race`}
        captionShown
        rows={races.toReversed()}
        rowKey={(race) => `${race.season}-${race.round}`}
        columns={[
          {
            id: "race",
            header: "Race",
            cell: (race) => <Link to={`/races/${race.season}/${race.round}`}>{race.race}</Link>,
            sort: (race) => race.race,
          },
          {
            id: "date",
            header: "Date",
            minor: true,
            cell: (race) => `${shortDay(race.date)} ${race.season}`,
            sort: (race) => race.date,
          },
          {
            id: "winner",
            header: "Winner",
            cell: (race) => `${surname(race.winner.name)} ${percent(race.winner_probability)}`,
            sort: (race) => race.winner_probability,
          },
          {
            id: "model",
            header: "Model",
            numeric: true,
            cell: (race) => decimal(race.log_loss),
            sort: (race) => race.log_loss,
          },
          ...baselines.map(({ name: baseline, label }) => ({
            id: baseline,
            header: label,
            numeric: true,
            minor: true,
            cell: (race: WatchedStage["races"][number]) => optional(race.baselines[baseline]),
          })),
          {
            id: "evidence",
            header: "Evidence so far",
            numeric: true,
            cell: (race) => decimal(race.evidence),
            sort: (race) => race.evidence,
          },
          {
            id: "version",
            header: "Results",
            minor: true,
            cell: (race) =>
              race.results_version > 1 ? `corrected, version ${race.results_version}` : "as first",
          },
        ]}
      />
      {left_out.map((race) => (
        <p key={`${race.season}-${race.round}`} className="note">
          {race.season} {race.race} is left out: {race.because}.
        </p>
      ))}
    </>
  )
}

const optional = (value: number | undefined) => (value === undefined ? "–" : decimal(value))

const SHOWN_FEATURES = 8

function Inputs({ drift: { features, corrections, races, windows } }: { drift: Drift }) {
  return (
    <>
      {features.length > 0 && (
        <DataTable
          caption={`Inputs of ${count(races, "race")} that the model has not seen, the least usual of ${count(windows, "window")} first`}
          captionShown
          rows={features.slice(0, SHOWN_FEATURES)}
          rowKey={(feature) => feature.name}
          columns={[
            { id: "label", header: "Input", cell: (feature) => feature.label },
            {
              id: "distance",
              header: "Distance",
              numeric: true,
              cell: (feature) => decimal(feature.distance),
            },
            { id: "usual", header: "Usual", numeric: true, cell: (feature) => decimal(feature.usual) },
            {
              id: "chance",
              header: "Chance",
              numeric: true,
              minor: true,
              cell: (feature) => percent(feature.chance),
            },
            {
              id: "verdict",
              header: "Verdict",
              cell: (feature) => (feature.drifted ? <b>drifted</b> : "as usual"),
            },
          ]}
        />
      )}
      {corrections.length > 0 && (
        <DataTable
          caption="Corrections of data in the races compared"
          captionShown
          rows={corrections}
          rowKey={(row) => `${row.season}-${row.round}-${row.kind}-${row.version}`}
          columns={[
            { id: "race", header: "Race", cell: (row) => `${row.season} ${row.race}` },
            {
              id: "kind",
              header: "What",
              cell: (row) => (row.withdrawn ? `${row.kind} withdrawn` : row.kind),
            },
            { id: "version", header: "Version", numeric: true, cell: (row) => integer(row.version) },
            { id: "source", header: "Source", minor: true, cell: (row) => row.source },
            { id: "when", header: "When", cell: (row) => moment(row.recorded_at) },
          ]}
        />
      )}
    </>
  )
}
