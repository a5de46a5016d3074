import { z } from "zod"
import { type JobLog, readJobLog } from "../delivery/job-log.js"
import { hexDigestPattern } from "../lib/image-reference.js"
import { oneLine } from "../lib/text.js"

// What the commands `registry train`, `examine`, `shadow` and `point` of a service's image write to their standard output: JSON Lines, the last one with the result.

const digest = z
  .string()
  .regex(hexDigestPattern)
  .nullish()
  .transform((found) => found ?? undefined)

const result = z
  .object({
    event: z.literal("result"),
    /**
     * `nothing-new`: the champion has seen all. `deferred`: a source does not answer, or a round is still coming in. `challenger`: clearly better. `unproven`: the
     * champion stays. `refused`: worse, or a check failed.
     */
    outcome: z.enum(["nothing-new", "deferred", "challenger", "unproven", "refused", "failed"]),
    message: z.string(),
    /** Of the model that it is about. */
    digest,
    version: z.string().nullish(),
    champion: digest,
    /** Why it trained: what is new, and what monitoring has found. Images that do not monitor leave it out. */
    because: z.string().nullish(),
  })
  .refine(({ outcome, digest: of }) => outcome !== "challenger" || of !== undefined, {
    error: "it names no model that is the challenger",
    path: ["digest"],
  })

/** What a training came to. */
export type TrainingResult = z.output<typeof result>
export type TrainingOutcome = TrainingResult["outcome"]

/** Reads the log of a run. */
export const readTrainingLog = (text: string): JobLog<TrainingResult> => readJobLog(text, result)

const trained: TrainingOutcome[] = ["challenger", "unproven", "refused"]

/** What a training came to, in one sentence, with its reason. */
export function trainingText({ outcome, message, because }: TrainingResult): string {
  if (outcome === "failed") return oneLine(`failed: ${message}`, 900)
  const reason = trained.includes(outcome) && because ? `; trained because ${because}` : ""
  return oneLine(`${message}${reason}`, 900)
}

const optional = z
  .string()
  .nullish()
  .transform((found) => found ?? undefined)

const examined = z.object({
  event: z.literal("result"),
  outcome: z.enum(["examined", "failed"]),
  message: z.string(),
  /** What the pointer says. */
  champion: digest,
  challenger: digest,
  previous: digest,
  /** Of the model that was examined; absent where the pointer names none. */
  digest,
  version: optional,
  /** The gate's. */
  verdict: optional,
  reason: optional,
  /** Why it cannot be served. */
  problem: optional,
})
/** What is known of a model that may become the champion. */
export type Examination = z.output<typeof examined>

const moved = z.object({
  event: z.literal("result"),
  /** `superseded`: somebody else has changed the champion. */
  outcome: z.enum(["pointed", "superseded", "failed"]),
  message: z.string(),
})
/** What became of the pointer. */
export type Moved = z.output<typeof moved>

/** Reads the log of a run that examines. */
export const readExaminationLog = (text: string): JobLog<Examination> => readJobLog(text, examined)

/** Reads the log of a run that changes the pointer. */
export const readMovedLog = (text: string): JobLog<Moved> => readJobLog(text, moved)

/** A result in one sentence. */
export const stepText = ({ outcome, message }: Examination | Moved): string =>
  oneLine(outcome === "failed" ? `failed: ${message}` : message, 900)
