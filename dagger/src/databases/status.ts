import { oneLine } from "../lib/text.js"
import { type Waiting, waitingText } from "./decisions.js"
import { headsText } from "./result.js"
import type { DatabaseSettings } from "./settings.js"
import type { DatabaseState } from "./state.js"

/** The state of a database in its environment. */
export interface DatabaseStatus extends Pick<
  DatabaseState,
  "heads" | "running" | "backup" | "runs" | "drift"
> {
  service: string
  /** Whether the Job of `running` still runs. */
  active: boolean
  /** Migrations that have not run, and what each waits for; nothing, where the next deploy runs it. */
  waiting: Waiting[]
}

const size = (bytes: number) =>
  bytes < 1e6
    ? `${(bytes / 1e3).toFixed(1)} kB`
    : bytes < 1e9
      ? `${(bytes / 1e6).toFixed(1)} MB`
      : `${(bytes / 1e9).toFixed(1)} GB`

const driftText = ({ at, differences }: NonNullable<DatabaseState["drift"]>) =>
  differences.length === 0
    ? `drift: none at ${at}`
    : `drift at ${at}: ${oneLine(differences.join("; "), 1_000)}`

/**
 * What is known of a database, for people and for programs.
 *
 * @param held migrations that wait
 */
export function statusText(
  { name, service }: Pick<DatabaseSettings, "name" | "service">,
  state: DatabaseState,
  held: Waiting[],
  active: boolean,
): { text: string; details: DatabaseStatus } {
  const { heads, running, backup, drift, runs, waiting } = state
  const free = (waiting?.migrations ?? []).filter((one) => !held.some(({ migration }) => migration === one))
  const all = [...held, ...free.map((migration) => ({ migration, revisions: [] }))]
  const [last] = runs
  const head =
    last === undefined && !running
      ? "never migrated by a deploy, so its revision is not known"
      : heads
        ? `at ${headsText(heads)}`
        : "its revision is not known since a migration failed or began"
  const work = running
    ? [
        active
          ? `  ${running.by} migrates it since ${running.began}, by ${running.image}`
          : `  the migration that ${running.by} began at ${running.began} has ended, and nobody has recorded it: repeat the command that began it`,
      ]
    : []
  const lines = [
    `${name}, the database of ${service}: ${head}`,
    ...work,
    ...(last
      ? [`  last: ${last.outcome} at ${last.ended} by ${last.by}: ${oneLine(last.message, 500)}`]
      : []),
    backup
      ? `  backup: ${backup.id}, verified ${backup.verified}, ${size(backup.bytes)}, at ${headsText(backup.heads)}, ${backup.location}`
      : "  backup: none that was verified",
    ...(drift ? [`  ${driftText(drift)}`] : []),
    ...(held.length > 0 ? [`  ${waitingText(held)}`] : []),
    ...(free.length > 0
      ? [`  ${free.join(", ")} no longer waits: the next deploy or \`migrate\` runs it`]
      : []),
  ]
  return {
    text: lines.join("\n"),
    details: {
      service,
      active,
      waiting: all,
      runs,
      ...(heads && { heads }),
      ...(running && { running }),
      ...(backup && { backup }),
      ...(drift && { drift }),
    },
  }
}
