import type { Container, Directory } from "@dagger.io/dagger"
import { z } from "zod"
import { catalogFile, type Service, type SizeBudget } from "../../platform/catalog.js"
import { commandGate, reportsFolder } from "../runner/command.js"
import { type Gate, GateFailure } from "../runner/gate.js"
import { growth, total } from "./growth.js"

/** The file of an app's folder that holds the sizes of a former build, and the report that this build leaves. */
const sizesFile = "size.json"

/** Builds a web app and compares what browsers download with its budget. */
export function sizeGate({ name, limits, size }: Service, code: Container, services: Directory): Gate {
  return commandGate({
    name: `${name}:size`,
    subject: `at most ${size.start} kB for the start page, ${size.all} kB for all files, compressed`,
    container: code,
    command: ["sh", "-c", `npm run --silent build && npm run --silent size -- ${reportsFolder}/${sizesFile}`],
    limit: limits.tool,
    verify: async (reports) => {
      const path = `${name}/${sizesFile}`
      const [found] = await services.glob(path)
      const recorded = found === undefined ? undefined : await services.file(path).contents()
      const measured = readSizes(await reports.file(sizesFile).contents())
      if (measured === undefined) throw new Error(`npm run size left no sizes in ${sizesFile}`)
      const failure = tooLarge(name, size, measured, readSizes(recorded))
      if (failure !== undefined) throw new GateFailure(failure, reports)
    },
  })
}

const bytes = z.record(z.string(), z.int().min(0))
const schema = z.object({ start: bytes, rest: bytes })

/** Compressed bytes by file: scripts and styles of the start page, and the rest. */
export type Sizes = z.output<typeof schema>

/** Reads what `npm run size` writes; undefined for anything else. */
export function readSizes(text: string | undefined): Sizes | undefined {
  try {
    return schema.safeParse(JSON.parse(text ?? "")).data
  } catch {
    return undefined
  }
}

/**
 * Why a build is not in its budget, and what grew; undefined when it is.
 *
 * @param budget in kB, each of 1,000 bytes
 * @param recorded the sizes of the build that the repository records
 */
export function tooLarge(
  name: string,
  budget: SizeBudget,
  measured: Sizes,
  recorded: Sizes | undefined,
): string | undefined {
  const excesses = [
    {
      part: "The start page's scripts and styles",
      allowed: budget.start,
      key: "start",
      files: measured.start,
    },
    { part: "All files", allowed: budget.all, key: "all", files: all(measured) },
  ].flatMap(({ part, allowed, key, files }) => {
    const measured = total(files)
    if (measured <= allowed * 1000) return []
    return [
      `${part} are ${kilobytes(measured)} compressed, ${kilobytes(measured - allowed * 1000)} more than ${catalogFile} allows (services.${name}.size.${key}: ${allowed}).`,
    ]
  })
  if (excesses.length === 0) return undefined
  const changes = recorded
    ? changesOf(growth(all(measured), all(recorded), "file", kilobytes))
    : [`services/${name}/${sizesFile} holds no sizes to compare with; \`npm run size\` writes it.`]
  return [...excesses, ...changes].join("\n")
}

const changesOf = (grown: string[]): string[] =>
  grown.length === 0
    ? ["No file is larger than when its size was last recorded."]
    : ["What grew since sizes were last recorded:", ...grown]

/** Every file. One name may be in both parts: names have lost their hashes. */
function all({ start, rest }: Sizes): Record<string, number> {
  const names = new Set([...Object.keys(start), ...Object.keys(rest)])
  return Object.fromEntries([...names].map((name) => [name, (start[name] ?? 0) + (rest[name] ?? 0)]))
}

const kilobytes = (size: number) => `${(size / 1000).toFixed(1)} kB`
