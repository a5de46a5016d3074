import { z } from "zod"
import { withNeeds } from "./gates/selection.js"
import type { ScheduledGate } from "./runner/schedule.js"

/** One of several machines that share a run, counted from 1. */
export interface Shard {
  number: number
  of: number
}

/**
 * Reads a shard such as `2/4`.
 *
 * @returns nothing for an empty text: one machine runs everything
 * @throws Error for another text
 */
export function readShard(text: string): Shard | undefined {
  if (text === "") return undefined
  const [, number, of] = /^([1-9]\d{0,2})\/([1-9]\d{0,2})$/.exec(text) ?? []
  if (number === undefined || of === undefined || Number(number) > Number(of))
    throw new Error(`--shard "${text}": allowed is NUMBER/COUNT, from 1/COUNT to COUNT/COUNT, such as 2/4`)
  return { number: Number(number), of: Number(of) }
}

/**
 * Splits gates over machines so that each has about the same work: the longest gates first, each to the machine that then
 * has least to do. A machine also runs what its gates need, which is why such gates stay together. Every machine computes
 * the same split from the same durations.
 *
 * @param secondsOf how long a gate took when it ran; those that are not known count as the average of the others
 * @returns for each machine, the names of its gates without those that they need
 */
export function split(
  gates: ScheduledGate[],
  count: number,
  secondsOf: ReadonlyMap<string, number>,
): string[][] {
  const known = gates.flatMap(({ name }) => secondsOf.get(name) ?? [])
  const average = known.length === 0 ? 1 : known.reduce((sum, seconds) => sum + seconds, 0) / known.length
  const seconds = (name: string) => secondsOf.get(name) ?? average
  const longestFirst = gates
    .map(({ name }) => name)
    .sort((one, other) => seconds(other) - seconds(one) || (one < other ? -1 : 1))
  const machines = Array.from({ length: count }, () => ({
    seconds: 0,
    names: [] as string[],
    runs: new Set<string>(),
  }))
  for (const name of longestFirst) {
    const needed = withNeeds(gates, [name]).map((gate) => gate.name)
    const offers = machines.map((machine) => {
      const added = needed.filter((gate) => !machine.runs.has(gate))
      const cost = added.reduce((sum, gate) => sum + seconds(gate), 0)
      return { machine, added, cost, ends: machine.seconds + cost }
    })
    const [best] = offers.sort(
      (one, other) =>
        one.ends - other.ends ||
        one.cost - other.cost ||
        one.machine.names.length - other.machine.names.length,
    )
    if (!best) continue
    best.machine.seconds = best.ends
    best.machine.names.push(name)
    for (const gate of best.added) best.machine.runs.add(gate)
  }
  return machines.map(({ names }) => names)
}

const outcome = z.enum(["passed", "failed", "could not run", "skipped"])

const schema = z.object({
  schemaVersion: z.literal(1),
  shard: z.object({ number: z.int().positive(), of: z.int().positive() }),
  /** The gates of all machines. */
  planned: z.array(z.string()),
  run: z.object({
    gates: z.array(
      z.object({
        verdict: z.object({
          gate: z.string(),
          subject: z.string(),
          outcome,
          seconds: z.number(),
          cached: z.boolean(),
          retries: z.array(z.string()),
          detail: z.string(),
          output: z.string(),
        }),
        artifacts: z.object({
          folder: z.string().optional(),
          junit: z.string().optional(),
          coverage: z.string().optional(),
          thresholds: z.object({ lines: z.number(), branches: z.number() }).optional(),
          sarif: z.array(z.string()).optional(),
          pictures: z.array(z.string()).optional(),
        }),
        after: z.number().optional(),
      }),
    ),
    started: z.coerce.date(),
    seconds: z.number(),
    revision: z.string().optional(),
    because: z.string().optional(),
  }),
})

/** What one machine of several found. */
export type Part = z.output<typeof schema>

/** The file of a report that holds its part. */
export const partFile = "part.json"

/** @throws Error for a text that is no part */
export function readPart(path: string, text: string): Part {
  let found: unknown
  try {
    found = JSON.parse(text)
  } catch (error) {
    throw new Error(`${path} is no JSON: ${(error as Error).message}`, { cause: error })
  }
  const read = schema.safeParse(found)
  if (!read.success)
    throw new Error(`${path} is not what report --shard writes: ${read.error.issues[0]?.message ?? ""}`)
  return read.data
}

/**
 * Joins the parts of one run. A gate that several machines ran, because others need it, counts once: with its worst result.
 *
 * @throws Error for parts of different runs, for a part that is missing or given twice, and for a gate that no part has
 */
export function joined(parts: Part[]): Part["run"] {
  const [first] = parts
  if (!first)
    throw new Error(`there is no part; expected is ${partFile} in the folders of reports that --shard made`)
  const count = first.shard.of
  const numbers = parts.map(({ shard }) => shard.number)
  const plan = (part: Part) => JSON.stringify([part.shard.of, part.run.revision, part.planned])
  if (parts.some((part) => plan(part) !== plan(first)))
    throw new Error("the parts belong to different runs: commits, numbers of machines or gates differ")
  const wrong = Array.from({ length: count }, (_, at) => at + 1).filter(
    (number) => numbers.filter((one) => one === number).length !== 1,
  )
  if (wrong.length > 0)
    throw new Error(
      `each part must be given once; missing or given twice: ${wrong.map((one) => `${one}/${count}`).join(", ")}`,
    )
  const order: z.output<typeof outcome>[] = ["failed", "could not run", "skipped", "passed"]
  const gates = first.planned.map((name) => {
    const [worst] = parts
      .flatMap(({ run }) => run.gates.filter(({ verdict }) => verdict.gate === name))
      .sort((one, other) => order.indexOf(one.verdict.outcome) - order.indexOf(other.verdict.outcome))
    if (!worst) throw new Error(`no part has ${name}`)
    return worst
  })
  const { revision, because } = first.run
  return {
    gates,
    started: new Date(Math.min(...parts.map(({ run }) => run.started.getTime()))),
    seconds: Math.max(...parts.map(({ run }) => run.seconds)),
    ...(revision !== undefined && { revision }),
    ...(because !== undefined && { because }),
  }
}
