import { z } from "zod"
import { oneLine } from "../lib/text.js"
import { section } from "../lib/document.js"
import { median } from "../lib/median.js"
import { size } from "../lib/size.js"

/** Runs of Lighthouse for each page and device: the median of five is twice as stable as one run. */
export const auditRuns = 5

export const devices = ["mobile", "desktop"] as const
const impacts = ["minor", "moderate", "serious", "critical"] as const

const score = (fallback: number) => z.int().min(0).max(100).default(fallback)
const budget = section({
  performance: score(90),
  accessibility: score(95),
  bestPractices: score(95),
})

/** What a release of a web app must reach before visitors get it; see `dagger/config/deploy.yaml`. */
export const auditSection = section({
  paths: z
    .array(z.string().regex(/^\/[A-Za-z0-9._~/?=&%-]*$/, "an address within the app, such as /recipes"))
    .min(1)
    .max(10)
    .default(["/"]),
  mobile: budget.prefault({}),
  desktop: budget.prefault({}),
  /** The least impact of what axe finds that a release may not have. */
  violations: z.enum(impacts).default("serious"),
})
export type AuditSettings = z.output<typeof auditSection>

/** What is looked at, and how. */
export interface AuditRequest {
  address: string
  /** Sent with every request. */
  headers: Record<string, string>
  paths: string[]
  runs: number
}

/** What a run of `dagger/config/frontends/audit/audit.mjs` wrote. */
export interface AuditFiles {
  result: string
  /** PNG files by name. */
  screenshots: Map<string, Uint8Array>
}

const share = z.number().min(0).max(1)
const violation = z.object({
  id: z.string(),
  impact: z.enum(impacts),
  help: z.string(),
  places: z.array(z.string()),
})
const page = {
  path: z.string(),
  device: z.enum(devices),
  screenshot: z.string().regex(/^[\w-]+\.png$/, "the name of a PNG file"),
}
const measured = z.object({
  pages: z.array(
    z.object({
      ...page,
      release: z.string(),
      violations: z.array(violation),
      runs: z.array(
        z.object({
          performance: share,
          accessibility: share,
          "best-practices": share,
          lcp: z.number(),
          cls: z.number(),
          tbt: z.number(),
          bytes: z.number(),
        }),
      ),
    }),
  ),
})

const audited = z.object({
  ...page,
  /** Medians of 0 to 100. */
  performance: z.number(),
  accessibility: z.number(),
  bestPractices: z.number(),
  /** Medians: largest contentful paint and total blocking time in milliseconds, cumulative layout shift, bytes of all files. */
  lcp: z.number(),
  tbt: z.number(),
  cls: z.number(),
  bytes: z.number(),
  violations: z.array(violation),
})
type AuditedPage = z.output<typeof audited>
const pages = z.array(audited)
/** What an audit of a release found. */
export interface Audit {
  pages: AuditedPage[]
}

const schema = z.object({
  pages,
  /** Why the release may not be shown; absent in what earlier versions have kept. */
  faults: z.array(z.string()).optional(),
  /** The audit of the release that was live; absent where that had none. */
  before: z.object({ release: z.string(), pages }).optional(),
})
/** An audit with what was made of it, as it is kept. */
export type KeptAudit = z.output<typeof schema>

/** @throws Error for a text that is no audit */
export const readAudit = (text: string): KeptAudit => schema.parse(JSON.parse(text))
export const auditText = (audit: KeptAudit): string => `${JSON.stringify(audit, undefined, 2)}\n`

/**
 * The medians of an audit.
 *
 * @param expected.release that every page must be of
 * @throws Error when it is not the audit that was asked for: pages, devices or runs are missing, or a page was of another release
 */
export function auditOf(
  { result, screenshots }: AuditFiles,
  { release, paths, runs }: { release: string } & Pick<AuditRequest, "paths" | "runs">,
): Audit {
  const { pages } = measured.parse(JSON.parse(result))
  const found = paths.flatMap((path) =>
    devices.map((device): AuditedPage => {
      const one = pages.find((other) => other.path === path && other.device === device)
      const what = `${path} on ${device}`
      if (!one) throw new Error(`${what} was not looked at`)
      if (one.release !== release)
        throw new Error(
          `${what} was of release ${oneLine(one.release, 60) || "unknown"} instead of ${release}`,
        )
      if (one.runs.length < runs)
        throw new Error(`${what} was looked at ${one.runs.length} times instead of ${runs}`)
      if (!screenshots.has(one.screenshot)) throw new Error(`${what} has no screenshot`)
      const typical = (of: keyof (typeof one.runs)[number]) => median(one.runs.map((run) => run[of]))
      const percent = (of: keyof (typeof one.runs)[number]) => Math.round(typical(of) * 100)
      return {
        path,
        device,
        screenshot: one.screenshot,
        performance: percent("performance"),
        accessibility: percent("accessibility"),
        bestPractices: percent("best-practices"),
        lcp: typical("lcp"),
        tbt: typical("tbt"),
        cls: typical("cls"),
        bytes: typical("bytes"),
        violations: one.violations,
      }
    }),
  )
  return { pages: found }
}

const scores = { performance: "performance", accessibility: "accessibility", bestPractices: "best practices" }

/** Why a release may not be shown to visitors. */
export function auditFaults({ pages }: Audit, settings: AuditSettings): string[] {
  return pages.flatMap(({ path, device, violations, ...values }) => {
    const what = `${path} on ${device}`
    const low = (Object.keys(scores) as (keyof typeof scores)[])
      .filter((name) => values[name] < settings[device][name])
      .map(
        (name) =>
          `${what} has ${scores[name]} ${values[name]}; at least ${settings[device][name]} is allowed`,
      )
    const grave = violations
      .filter(({ impact }) => impacts.indexOf(impact) >= impacts.indexOf(settings.violations))
      .map(({ id, impact, help, places }) =>
        oneLine(`${what}: ${help} (${id}, ${impact}), at ${places.slice(0, 3).join(", ")}`, 300),
      )
    return [...low, ...grave]
  })
}

/** For example `mobile 97 / 100 / 100`: performance, accessibility and best practices, each the worst of all pages. */
export const auditSummary = ({ pages }: Audit): string =>
  devices
    .map((device) => {
      const own = pages.filter((one) => one.device === device)
      const worst = (Object.keys(scores) as (keyof typeof scores)[]).map((name) =>
        Math.min(...own.map((one) => one[name])),
      )
      return `${device} ${worst.join(" / ")}`
    })
    .join(", ")

/** The figures of an audit, with those of the release that was live in brackets where they differ. */
export function auditTable({ pages, before }: KeptAudit): { heads: string[]; rows: string[][] } {
  const cell = (now: string, old: string | undefined) =>
    old === undefined || old === now ? now : `${now} (${old})`
  const rows = pages.map((one) => {
    const old = before?.pages.find(({ path, device }) => path === one.path && device === one.device)
    const value = (show: (page: AuditedPage) => string) => cell(show(one), old && show(old))
    return [
      `${one.path}, ${one.device}`,
      ...(Object.keys(scores) as (keyof typeof scores)[]).map((name) => value((all) => String(all[name]))),
      value(({ lcp }) => `${(lcp / 1_000).toFixed(1)} s`),
      value(({ tbt }) => `${Math.round(tbt)} ms`),
      value(({ cls }) => cls.toFixed(3)),
      value(({ bytes }) => size(bytes)),
      value(({ violations }) => String(violations.length)),
    ]
  })
  const heads = ["page", ...Object.values(scores), "LCP", "blocking", "layout shift", "bytes", "violations"]
  return { heads, rows }
}

/** What the figures of an audit are. */
export function auditCaption({ before, faults }: KeptAudit): string {
  const what = "Medians of Lighthouse's runs."
  if (before) return `${what} In brackets: release ${before.release}, which was live then, where it differs.`
  return faults
    ? `${what} The release that was live had no audit.`
    : `${what} An earlier version kept this audit: its report says whether it was refused, and what differs from the release that was live.`
}

/** What axe found, each with its places. */
export const auditFindings = ({ pages }: Audit): { text: string; places: string[] }[] =>
  pages.flatMap(({ path, device, violations }) =>
    violations.map(({ id, impact, help, places }) => ({
      text: `${path} on ${device}: ${oneLine(help)} (${id}, ${impact})`,
      places: places.map((one) => oneLine(one)),
    })),
  )

/** What an audit found, in paragraphs of Markdown, without its pictures. */
export function auditParagraphs(audit: KeptAudit): string[] {
  const { heads, rows } = auditTable(audit)
  const line = (cells: string[]) => `| ${cells.join(" | ")} |`
  const found = auditFindings(audit).map(
    ({ text, places }) => `- ${text}: ${places.map((one) => `\`${one}\``).join(", ")}`,
  )
  const refused = audit.faults?.map((fault) => `- ${fault}`) ?? []
  return [
    ...(refused.length > 0 ? [["Refused:", "", ...refused].join("\n")] : audit.faults ? ["Passed."] : []),
    auditCaption(audit),
    [line(heads), line(heads.map(() => "---")), ...rows.map(line)].join("\n"),
    ...(found.length > 0 ? [found.join("\n")] : []),
  ]
}

/** The report of an audit, in Markdown, with its pictures. */
export const auditReport = (release: string, audit: KeptAudit): string =>
  [
    `# Audit of release ${release}`,
    ...auditParagraphs(audit),
    ...audit.pages.map(({ path, device, screenshot }) => `![${path} on ${device}](${screenshot})`),
    "",
  ].join("\n\n")
