import { createHash } from "node:crypto"
import { z } from "zod"
import { hexDigestPattern } from "../../lib/image-reference.js"
import type { Artifacts } from "../report/artifacts.js"
import { fileName } from "../report/paths.js"
import type { CompletedGate } from "../runner/run.js"

const digest = z.string().regex(hexDigestPattern)

const schema = z.object({
  schemaVersion: z.literal(1),
  /** What it is the pass of; see {@link passKey}. */
  key: digest,
  gate: z.string(),
  subject: z.string(),
  /** One line: the tool's own count. */
  detail: z.string(),
  /** Seconds that the command took. */
  seconds: z.number().min(0),
  /** When it was recorded. */
  at: z.iso.datetime(),
})

const artifactsSchema = z.object({
  junit: z.string().optional(),
  coverage: z.string().optional(),
  sarif: z.array(z.string()).optional(),
})

/** A gate that passed, to be remembered by everything that its result depends on. */
export type Pass = z.output<typeof schema>

/** The reports of tools that belong to a pass. */
export type PassArtifacts = z.output<typeof artifactsSchema>

/** A pass with the reports of its tools. */
export interface PassWithArtifacts {
  pass: Pass
  artifacts: PassArtifacts
}

/**
 * Names a pass by everything that its result depends on: SHA-256 as 64 hexadecimal digits.
 *
 * @param machine the engine's version and platform
 * @param inputs digests of files, and whatever else decides the result
 */
export function passKey(gate: string, machine: string, inputs: string[]): string {
  return createHash("sha256")
    .update(JSON.stringify([1, gate, machine, inputs]))
    .digest("hex")
}

/** The name of the file of a pass, such as `api_test.0a1b….json`. */
export const passFile = ({ gate, key }: Pick<Pass, "gate" | "key">): string => `${fileName(gate)}.${key}.json`

/** The pass of a gate that has just ended; nothing where it did not pass. */
export function passOf(key: string, { verdict }: CompletedGate, now: Date): Pass | undefined {
  const { gate, subject, outcome, detail, seconds } = verdict
  if (outcome !== "passed") return undefined
  return { schemaVersion: 1, key, gate, subject, detail, seconds, at: now.toISOString() }
}

/** As a gate that ended now, without running. */
export function completedBy({ gate, subject, detail, seconds }: Pass, now: Date): CompletedGate {
  return {
    verdict: { gate, subject, outcome: "passed", seconds, cached: true, retries: [], detail, output: "" },
    startedAt: now,
  }
}

/** Reads a pass; nothing for a value that is none. */
export const readPass = (value: unknown): Pass | undefined => schema.safeParse(value).data

/** Reads the artifacts of a pass; nothing for a value that is none. */
export const readArtifacts = (value: unknown): PassArtifacts | undefined =>
  artifactsSchema.safeParse(value).data

/** Reads JSON; nothing for a text that is none, as after a write that was cut off. */
export function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Whether the reports of a pass are texts only. Screenshots are not kept, so such a gate runs again. */
export const canBeKept = ({ pictures = [] }: Artifacts): boolean => pictures.length === 0
