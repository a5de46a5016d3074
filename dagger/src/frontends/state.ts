import { z } from "zod"
import type { KubernetesApi } from "../clients/kubernetes/client.js"
import { managedBy } from "../clients/kubernetes/manifest.js"
import { frontendObject } from "../delivery/access.js"
import { StateRecord as KeptState } from "../delivery/state-record.js"
import { clip } from "../lib/text.js"

/** Longest text that the state keeps, in characters. */
const longest = 500

const text = z.string().transform((all) => clip(all, longest))

const revision = z.object({
  number: z.int().min(1),
  /** `repository@sha256:…`, which the files come from. */
  image: z.string(),
  /** See `releaseId`. */
  release: z.string(),
  /** Id of the configuration. */
  config: z.string(),
  version: text,
  commit: z.string().optional(),
  files: z.int(),
  /** Without compressed copies. */
  bytes: z.int(),
  by: text,
  /** When it was made live for the first time, ISO 8601. */
  at: z.string(),
  /** When it was live last, ISO 8601; absent for the live one. */
  until: z.string().optional(),
})
/** A release with a configuration that was made live once. */
export type FrontendRevision = z.output<typeof revision>

const running = z.object({
  /** Of the command that began it. */
  id: z.string(),
  action: z.enum(["deploy", "rollback"]),
  revision: revision.omit({ at: true, until: true }),
  /** The revision that was live before. */
  from: z.int().optional(),
  author: text,
  reason: text,
  guards: z.string().optional(),
  /** ISO 8601, by the API server's clock. */
  began: z.string(),
  /** How it ended, until that is in the audit log. */
  end: z.object({ result: z.enum(["promoted", "aborted"]), at: z.string(), message: text }).optional(),
})
/** An operation whose end is not recorded. */
export type RunningSwitch = z.output<typeof running>

const schema = z.object({
  schemaVersion: z.literal(1),
  /** Newest first; those whose files are kept. */
  revisions: z.array(revision),
  /** The highest number that was ever given. */
  last: z.int().min(0),
  live: z.int().optional(),
  running: running.optional(),
})
/** What is known of a web app in an environment. */
export type FrontendState = z.output<typeof schema>

const nothing: FrontendState = { schemaVersion: 1, revisions: [], last: 0 }

export const liveRevision = ({ revisions, live }: FrontendState): FrontendRevision | undefined =>
  revisions.find(({ number }) => number === live)

/** The state after an operation has begun. */
export const begun = (
  state: FrontendState,
  began: RunningSwitch,
): FrontendState & { running: RunningSwitch } => ({
  ...state,
  last: Math.max(state.last, began.revision.number),
  running: running.parse(began),
})

/** The state after the operation in progress has ended. */
export function ended(state: FrontendState): FrontendState {
  const { running: over, ...rest } = state
  if (over?.end?.result !== "promoted") return rest
  const { at } = over.end
  const { number } = over.revision
  const known = rest.revisions.find((one) => one.number === number)
  const others = rest.revisions
    .filter((one) => one.number !== number)
    .map((one) => (one.number === rest.live ? { ...one, until: at } : one))
  const promoted = { ...over.revision, at: known?.at ?? at }
  return schema.parse({
    ...rest,
    live: number,
    revisions: [promoted, ...others].sort((one, other) => other.number - one.number),
  })
}

/** The state of a web app. */
export class FrontendRecord extends KeptState<FrontendState> {
  constructor(cluster: KubernetesApi, namespace: string, name: string) {
    super(cluster, {
      metadata: {
        namespace,
        name: frontendObject(name),
        labels: { "app.kubernetes.io/name": name, ...managedBy },
      },
      schema,
      nothing,
      kind: "web app",
      name,
      remedy: "an administrator repairs it",
    })
  }
}
