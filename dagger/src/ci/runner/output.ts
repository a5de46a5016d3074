import { posix } from "node:path"

// Where a tool names a file at the beginning of a line: black and Prettier with a mark before it, the others with a line number, a test's name or nothing behind it.
const relative =
  /^(\[warn\] |FAILED |ERROR | *FAIL {2})?((?:\.{1,2}\/)*[\w@-][\w@./-]*\.[a-z]{1,5})(?=[:(\s]|$)/gm
const inContainer = /(?<=^|[\s"'(=])\/(?:src\/|(?=services\/))(?=[\w@.])/gm

/**
 * Output of a tool with its paths as they are in the repository, so that an editor opens them.
 *
 * @param folder of the repository in which it ran; without one, its paths stay as they are
 */
export function withRepositoryPaths(output: string, folder: string | undefined): string {
  if (folder === undefined) return output
  return output
    .replace(
      relative,
      (_, mark: string | undefined, path: string) => `${mark ?? ""}${posix.join(folder, path)}`,
    )
    .replace(inContainer, "")
}

/** What begins a finding, with what says most first: a failed test, a place, a problem of ESLint. */
const findingStarts = [
  /^FAILED \S+::/,
  /^ *FAIL {2}\S/,
  /^ *\d+\) \[\w+\] › /,
  /^\S+\.[a-z]{1,5}[:(]\d+/,
  /^ +\d+:\d+ +error /,
]

/** The first finding in the output of a tool; undefined where there is none. */
export function firstFinding(output: string): string | undefined {
  const lines = output.split("\n")
  for (const pattern of findingStarts) {
    const at = lines.findIndex((line) => pattern.test(line))
    if (at < 0) continue
    const line = lines[at] ?? ""
    // ESLint names the file once, above all of its problems.
    const above = /^ +\d/.test(line) ? lines.slice(0, at).filter((one) => /^\S+\.[a-z]{1,5}$/.test(one)) : []
    const file = above.at(-1)
    return file === undefined ? line.trim() : `${file}:${line.trim()}`
  }
  return undefined
}
