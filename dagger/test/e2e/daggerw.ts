/** The command line as people use it, and copies of the repository to try things on. */
import { spawn } from "node:child_process"
import { cp, mkdtemp } from "node:fs/promises"
import { tmpdir } from "node:os"
import { basename, join } from "node:path"
import { fileURLToPath } from "node:url"

export const repository = fileURLToPath(new URL("../../..", import.meta.url))

export interface Ended {
  code: number | null
  signal: NodeJS.Signals | null
  stdout: string
  stderr: string
}

/**
 * Starts `./daggerw ARGS…`; `until` waits for words in its progress, `ended` for its end.
 *
 * @param options.mortal `kill` ends it at once, with all that it has started
 */
export function daggerw(args: string[], directory = repository, { mortal = false } = {}) {
  // A session of the caller's would be joined, and end with it.
  const env = { ...process.env, DAGGER_SESSION_PORT: undefined, DAGGER_SESSION_TOKEN: undefined }
  // A group of its own is what a kill reaches as a whole.
  const child = spawn("./daggerw", args, {
    cwd: directory,
    env,
    detached: mortal,
    stdio: ["ignore", "pipe", "pipe"],
  })
  const output = { stdout: "", stderr: "" }
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on("error", reject)
    child.on("close", (code, signal) => {
      resolve({ code, signal, ...output })
    })
  })
  child.stdout.on("data", (chunk: Buffer) => (output.stdout += chunk.toString()))
  child.stderr.on("data", (chunk: Buffer) => (output.stderr += chunk.toString()))
  const until = (words: string) =>
    new Promise<void>((resolve, reject) => {
      child.stderr.on("data", () => {
        if (output.stderr.includes(words)) resolve()
      })
      void ended.then(() => {
        reject(new Error(`ended before "${words}":\n${output.stderr}`))
      })
    })
  const kill = () => {
    if (!mortal || child.pid === undefined) throw new Error("this daggerw has no group to kill")
    process.kill(-child.pid, "SIGKILL")
  }
  return { ended, until, kill, signal: (name: NodeJS.Signals) => child.kill(name) }
}

const left = new Set([".git", "node_modules", "dist", "coverage", "reports", "__pycache__", ".mypy_cache"])

/** A copy of the repository as it stands, without its history; the caller removes it. */
export async function copyOfTheRepository(): Promise<string> {
  const copy = await mkdtemp(join(tmpdir(), "pitwall-cli-"))
  await cp(repository, copy, { recursive: true, filter: (path) => !left.has(basename(path)) })
  return copy
}

/** The outcome of each gate, read off a gate table. */
export function outcomes(table: string): Record<string, string> {
  const rows = table.matchAll(/^([a-z0-9-]+:[a-z-]+) +(passed|failed|could not run|skipped) /gm)
  return Object.fromEntries([...rows].map(([, gate = "", outcome = ""]) => [gate, outcome]))
}

/** The last gate table in a text, with all that follows it. */
export const tableIn = (text: string): string => text.slice(text.lastIndexOf("\nGATE ") + 1)

/** What is said of each gate that did not pass, read off the end of a gate table. */
export function findings(end: string): Record<string, string> {
  const parts = end.split(/^── ([a-z0-9-]+:[a-z-]+): .* ──$/m).slice(1)
  return Object.fromEntries(parts.flatMap((gate, at) => (at % 2 === 0 ? [[gate, parts[at + 1] ?? ""]] : [])))
}
