import type { Thresholds } from "./artifacts.js"
import { inRepository } from "./paths.js"
import { count, percent } from "../../lib/text.js"
import { children, type Element, parseXml, UnreadableReport } from "../../lib/xml.js"

/** How many of the lines or branches tests reached. */
export interface Share {
  covered: number
  valid: number
  /** 100 if `valid` is 0. */
  percent: number
}

export interface LineCoverage {
  line: number
  hits: number
  branches?: { covered: number; valid: number }
}

export interface FileCoverage {
  /** A path in the repository if known, else as the tool wrote it. */
  file: string
  lines: Share
  branches: Share
  /** First and last line of each range that no test reached. */
  missed: [number, number][]
  /** Lines that were reached with some of their branches missed. */
  partial: number[]
  /** The tool's percentage of branches, if it counts missed branches that are on none of the file's lines. */
  branchRate?: number
  measured: LineCoverage[]
}

export interface Coverage {
  totals: { lines: Share; branches: Share }
  files: FileCoverage[]
}

/**
 * Reads Cobertura XML as coverage.py and istanbul write it.
 *
 * @param folder where in the repository the tool ran
 * @throws UnreadableReport for a report that is cut off, contradicts itself or is not Cobertura
 */
export function parseCoverage(xml: string, folder = ""): Coverage {
  const root = parseXml(xml)
  if (root.name !== "coverage")
    throw new UnreadableReport(`is no Cobertura report: its root is <${root.name}>`)
  if (children(root, "project").length > 0)
    throw new UnreadableReport("is no Cobertura report, but one of Clover: it has a <project>")
  const sources = children(root, "sources").flatMap((list) => children(list, "source"))
  // With several sources, the report does not say which one a file belongs to.
  const source = sources.length === 1 ? (sources[0]?.text.trim() ?? "") : ""
  // coverage.py writes a branch rate of 0 for every file if it did not measure branches.
  const withBranches = Number(root.attributes["branches-valid"] ?? 0) > 0
  const files = classes(root).map((element) => file(element, source, folder, withBranches))
  return { totals: totals(root, files), files: [...files].sort((a, b) => (a.file < b.file ? -1 : 1)) }
}

/**
 * Describes what is missing to reach the thresholds, and the files with most of it; undefined if they are reached.
 *
 * A report without lines is a shortfall: no data is not a pass.
 */
export function shortfall(coverage: Coverage, thresholds: Thresholds): string | undefined {
  if (coverage.totals.lines.valid === 0) return "Coverage was measured on no line at all."
  const short = (["lines", "branches"] as const).filter((kind) =>
    isShort(coverage.totals[kind], thresholds[kind]),
  )
  if (short.length === 0) return undefined
  const sentences = short.map((kind) => {
    const { covered, valid, percent: reached } = coverage.totals[kind]
    const missing = Math.ceil((thresholds[kind] * valid) / 100) - covered
    const more = count(missing, kind === "lines" ? "line" : "branch").replace(/branchs$/, "branches")
    return `${percent(reached)} of ${kind} (${covered} of ${valid}), at least ${thresholds[kind]} % needed: ${more} to go.`
  })
  const worst = coverage.files
    .map((file) => ({
      ...file,
      gaps:
        short.reduce((sum, kind) => sum + file[kind].valid - file[kind].covered, 0) +
        // The report does not say how many branches these are.
        (short.includes("branches") && file.branchRate !== undefined ? 1 : 0),
    }))
    .filter(({ gaps }) => gaps > 0)
    .sort((a, b) => b.gaps - a.gaps)
  const shown = worst.slice(0, 10).map((file) => `  ${file.file}: ${gaps(file)}`)
  const rest = worst.length - shown.length
  return [
    ...sentences,
    "Most is missing in:",
    ...shown,
    ...(rest > 0 ? [`  … and ${count(rest, "more file")}`] : []),
  ].join("\n")
}

/** Whether a share is below its threshold. Compares whole numbers, so that nothing is rounded. */
export function isShort({ covered, valid }: Share, threshold: number): boolean {
  return covered * 100 < threshold * valid
}

/** The missed parts of a file, such as "lines 3-5, 9; branches on line 2". */
export function gaps({ missed, partial, branchRate }: FileCoverage, most = 12): string {
  const some = (items: string[]) =>
    items.length > most
      ? `${items.slice(0, most).join(", ")} and ${items.length - most} more`
      : items.join(", ")
  const ranges = missed.map(([from, to]) => (from === to ? String(from) : `${from}-${to}`))
  const parts = [
    ranges.length > 0 &&
      `line${missed.length === 1 && ranges[0]?.includes("-") === false ? "" : "s"} ${some(ranges)}`,
    partial.length > 0 && `branches on line${partial.length === 1 ? "" : "s"} ${some(partial.map(String))}`,
    branchRate !== undefined && `${percent(branchRate)} of branches, some on no line with a statement`,
  ]
  return parts.filter((part) => part !== false).join("; ")
}

/** Writes coverage in lcov's format, which editors read. */
export function toLcov({ files }: Coverage): string {
  return files
    .map(({ file, lines, branches, measured }) => {
      const branchLines = measured.flatMap(({ line, hits, branches }) =>
        Array.from(
          { length: branches?.valid ?? 0 },
          (_, number) =>
            `BRDA:${line},0,${number},${hits === 0 ? "-" : number < (branches?.covered ?? 0) ? 1 : 0}`,
        ),
      )
      return [
        "TN:",
        `SF:${file}`,
        ...branchLines,
        ...(branches.valid > 0 ? [`BRF:${branches.valid}`, `BRH:${branches.covered}`] : []),
        ...measured.map(({ line, hits }) => `DA:${line},${hits}`),
        `LF:${lines.valid}`,
        `LH:${lines.covered}`,
        "end_of_record\n",
      ].join("\n")
    })
    .join("")
}

function classes(element: Element): Element[] {
  return element.children.flatMap((child) => (child.name === "class" ? [child] : classes(child)))
}

function file(element: Element, source: string, folder: string, withBranches: boolean): FileCoverage {
  const name = element.attributes.filename ?? element.attributes.name ?? "(a file without a name)"
  const path = source !== "" && !name.startsWith("/") ? `${source}/${name}` : name
  // The lines of methods are in the list of the class too.
  const measured = children(element, "lines")
    .flatMap((list) => children(list, "line"))
    .map(lineCoverage)
  const counts = measured.map(({ branches }) => branches ?? { covered: 0, valid: 0 })
  const sum = (kind: "covered" | "valid") => counts.reduce((total, count) => total + count[kind], 0)
  const branches = share(sum("covered"), sum("valid"))
  const rate = 100 * Number(element.attributes["branch-rate"] ?? Number.NaN)
  // Tools round their rates.
  const unplaced = withBranches && rate >= 0 && rate < branches.percent - 0.1
  return {
    file: inRepository(path, folder) ?? inRepository(name, folder) ?? name,
    lines: share(measured.filter(({ hits }) => hits > 0).length, measured.length),
    branches,
    ...(unplaced && { branchRate: rate }),
    missed: ranges(measured),
    partial: measured
      .filter(({ hits, branches }) => hits > 0 && branches !== undefined && branches.covered < branches.valid)
      .map(({ line }) => line),
    measured,
  }
}

function lineCoverage({ attributes }: Element): LineCoverage {
  const [, covered, valid] = /\((\d+)\/(\d+)\)/.exec(attributes["condition-coverage"] ?? "") ?? []
  const line = whole(attributes.number, "a line's number")
  return {
    line,
    hits: whole(attributes.hits, `the hits of line ${line}`),
    ...(covered !== undefined && { branches: part(whole(covered, "covered"), whole(valid, "valid")) }),
  }
}

/** Joins missed lines into ranges that contain no reached line. */
function ranges(measured: LineCoverage[]): [number, number][] {
  const found: [number, number][] = []
  let open: [number, number] | undefined
  for (const { line, hits } of [...measured].sort((a, b) => a.line - b.line)) {
    if (hits > 0) open = undefined
    else if (open) open[1] = line
    else found.push((open = [line, line]))
  }
  return found
}

/** The tool's totals, or the sums over its files if it wrote none. */
function totals({ attributes }: Element, files: FileCoverage[]): Coverage["totals"] {
  const total = (kind: "lines" | "branches") => {
    const valid = attributes[`${kind}-valid`]
    if (valid !== undefined) {
      return share(whole(attributes[`${kind}-covered`], `${kind}-covered`), whole(valid, `${kind}-valid`))
    }
    const sum = (what: "covered" | "valid") => files.reduce((all, file) => all + file[kind][what], 0)
    return share(sum("covered"), sum("valid"))
  }
  return { lines: total("lines"), branches: total("branches") }
}

function share(covered: number, valid: number): Share {
  return { ...part(covered, valid), percent: valid === 0 ? 100 : (covered / valid) * 100 }
}

function part(covered: number, valid: number): { covered: number; valid: number } {
  if (covered > valid) throw new UnreadableReport(`cannot be right: it has ${covered} covered of ${valid}`)
  return { covered, valid }
}

/** Reads a count strictly: a bad number must not count as nothing to cover. */
function whole(text: string | undefined, what: string): number {
  const value = text === undefined || text.trim() === "" ? Number.NaN : Number(text)
  if (Number.isSafeInteger(value) && value >= 0) return value
  throw new UnreadableReport(
    `cannot be right: ${what} is ${text === undefined ? "missing" : JSON.stringify(text)}`,
  )
}
