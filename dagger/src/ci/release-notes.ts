import { type Commit as Conventional, CommitParser } from "conventional-commits-parser"
import { oneLine } from "../lib/text.js"
import type { Commit, CommitRange } from "./worktree/commits.js"

const types = "^(\\w+)(?:\\(([^)]*)\\))?"
// The parser's own patterns do not know the exclamation mark of a breaking change.
const parser = new CommitParser({
  headerPattern: new RegExp(`${types}!?: (.*)$`),
  breakingHeaderPattern: new RegExp(`${types}!: (.*)$`),
  // git calls the revert of a revert so.
  revertPattern: /^(?:Revert|Reapply)\s"([\s\S]*)"\s*This reverts commit (\w*)/,
  revertCorrespondence: ["header", "hash"],
})

/** What a commit says, also where it says nothing. */
const parsed = (message: string) => parser.parse(message.trim() === "" ? "(no message)" : message)

/** Sections by the type of a change, in their order; a commit of another form is among the last. */
const sections = [
  { title: "Features", types: ["feat"] },
  { title: "Fixes", types: ["fix"] },
  { title: "Performance", types: ["perf"] },
  { title: "Documentation", types: ["docs"] },
  { title: "Dependencies", types: ["deps"] },
  { title: "Other changes", types: undefined },
] as const

interface NotedChange {
  id: string
  type: string
  scope: string
  text: string
  /** What users have to do about it. */
  breaking: string[]
}

/**
 * Release notes in Markdown, by https://www.conventionalcommits.org/en/v1.0.0/: breaking changes first, then a section for each type. A change and its revert in the same
 * range are left out.
 */
export function releaseNotes(range: CommitRange): string {
  const { from, to } = range
  const title = from === "" ? `up to ${escaped(to)}` : `from ${escaped(from)} to ${escaped(to)}`
  return `${[`# Changes ${title}`, ...changeSections(range, 2)].join("\n\n")}\n`
}

/**
 * A changelog in Markdown: the changes of every release, the newest first, and before them those of none yet.
 *
 * @param read the commits from the newest tag before a tag, branch or commit
 * @param to where it ends
 */
export async function changelog(read: (to: string) => Promise<CommitRange>, to: string): Promise<string> {
  const parts = ["# Changelog"]
  for (let end: string | undefined = to; end !== undefined;) {
    const range: CommitRange = await read(end)
    parts.push(range.to === "HEAD" ? "## Unreleased" : `## ${escaped(range.to)}`, ...changeSections(range, 3))
    end = range.from === "" ? undefined : range.from
  }
  return `${parts.join("\n\n")}\n`
}

/** @param level of their headings */
function changeSections({ commits }: CommitRange, level: number): string[] {
  const section = (title: string, lines: string[]) => `${"#".repeat(level)} ${title}\n\n${lines.join("\n")}`
  const changes = standing(commits).map(changeOf)
  const known = sections.flatMap(({ types: all }) => all ?? []) as string[]
  const breaking = changes.filter((change) => change.breaking.length > 0)
  const parts = [
    ...(breaking.length > 0 ? [section("Breaking changes", breaking.map(breakingLine))] : []),
    ...sections.flatMap(({ title, types: all }) => {
      const own = changes.filter(({ type }) =>
        all ? (all as readonly string[]).includes(type) : !known.includes(type),
      )
      return own.length > 0 ? [section(title, own.map(changeLine))] : []
    }),
  ]
  return parts.length > 0 ? parts : ["Nothing has changed."]
}

/** Without reverts and what they take back; a revert that is reverted itself takes nothing back. */
function standing(commits: Commit[]): Commit[] {
  const gone = new Set<string>()
  // The newest first, so that the last word counts.
  for (const { id, message } of commits) {
    const { revert } = parsed(message)
    const reverted = commits.find((one) => one.id === revert?.hash)
    if (!reverted || gone.has(id)) continue
    gone.add(id).add(reverted.id)
  }
  return commits.filter(({ id }) => !gone.has(id))
}

function changeOf({ id, message }: Commit): NotedChange {
  const found: Conventional & { type?: string | null; scope?: string | null; subject?: string | null } =
    parsed(message)
  const { type, scope, subject, header, notes } = found
  // How Dependabot and Renovate call them.
  const isDependency = /^deps(-dev)?$/.test(scope ?? "") && ["chore", "build", "fix"].includes(type ?? "")
  return {
    id,
    type: isDependency ? "deps" : (type ?? "").toLowerCase(),
    scope: isDependency ? "" : (scope ?? ""),
    text: subject ?? header ?? "",
    breaking: notes.map(({ text }) => text),
  }
}

const changeLine = ({ id, scope, text }: NotedChange) =>
  `- ${scope === "" ? "" : `**${escaped(scope)}:** `}${escaped(text)} (${id.slice(0, 12)})`

/** The note of a breaking change, where it says more than its subject. */
const breakingLine = (change: NotedChange) =>
  [
    changeLine(change),
    ...change.breaking.filter((note) => note !== change.text).map((note) => `  ${escaped(note)}`),
  ].join("\n")

/** In one line, and nothing of it is Markdown or HTML, but for code. */
const escaped = (text: string) =>
  oneLine(text, 1_000)
    .split(/(`[^`]*`)/)
    // Every other part is code.
    .map((part, at) => (at % 2 === 1 ? part : part.replaceAll(/[\\*_[\]<>|~`]/g, "\\$&")))
    .join("")
