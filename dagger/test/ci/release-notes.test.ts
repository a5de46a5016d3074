import { execFileSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { changelog, releaseNotes } from "../../src/ci/release-notes.js"
import { listCommits, readCommits } from "../../src/ci/worktree/commits.js"

// The very script that runs in the container, on a real repository.
let folder: string
const run = (program: string, args: string[], cwd = folder) =>
  execFileSync(program, args, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] })
const git = (...args: string[]) =>
  run("git", ["-c", "user.name=ada", "-c", "user.email=ada@example.com", ...args]).trim()

let file = 0
/** Commits a change, and returns its id. */
function commit(message: string, name = `file-${(file += 1)}`): string {
  writeFileSync(join(folder, name), message)
  git("add", name)
  git("commit", "--quiet", "--cleanup=verbatim", "--message", message)
  return git("rev-parse", "HEAD")
}
const notes = (from = "", to = "HEAD", cwd = folder) =>
  releaseNotes(readCommits(run("sh", ["-ec", listCommits, "commits", from, to], cwd)))

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "notes-"))
  git("init", "--quiet", "--initial-branch", "main")
  commit("feat: the beginning")
  git("tag", "v1.0.0")
})
afterEach(() => {
  rmSync(folder, { recursive: true })
})

describe("release notes", () => {
  it("have a section for each type, what breaks first, and commits of any other form last", () => {
    const ids = [
      commit("feat(api)!: prices are in cents\n\nBREAKING CHANGE: divide by 100\n  to have euros"),
      commit("fix: no crash without a name (#12)"),
      commit("feat(web): dark mode"),
      commit("chore(deps): bump vite from 7 to 8"),
      commit("Recipes are sorted\n\nfeat: this is the body"),
      commit("refactor!: the old address is gone"),
    ].map((id) => id.slice(0, 12))
    expect(notes()).toBe(`# Changes from v1.0.0 to HEAD

## Breaking changes

- the old address is gone (${ids[5] ?? ""})
- **api:** prices are in cents (${ids[0] ?? ""})
  divide by 100 to have euros

## Features

- **web:** dark mode (${ids[2] ?? ""})
- **api:** prices are in cents (${ids[0] ?? ""})

## Fixes

- no crash without a name (#12) (${ids[1] ?? ""})

## Dependencies

- bump vite from 7 to 8 (${ids[3] ?? ""})

## Other changes

- the old address is gone (${ids[5] ?? ""})
- Recipes are sorted (${ids[4] ?? ""})
`)
  })

  it("name each change once, also when it was merged or is in the earlier release as a cherry-pick", () => {
    git("checkout", "--quiet", "-b", "release")
    git("checkout", "--quiet", "main")
    const fix = commit("fix: a leak")
    git("checkout", "--quiet", "-b", "topic")
    commit("feat: a topic")
    git("checkout", "--quiet", "main")
    git("merge", "--quiet", "--no-ff", "--message", "Merge topic", "topic")
    git("checkout", "--quiet", "release")
    git("cherry-pick", fix)
    git("tag", "v1.0.1")
    const text = notes("v1.0.1", "main")
    expect(text).toContain("a topic")
    expect(text).not.toMatch(/a leak|Merge/)
  })

  it("leave out what was reverted, and keep what came back", () => {
    const [gone, back] = [commit("feat: gone"), commit("feat: back")]
    git("revert", "--no-edit", gone)
    git("revert", "--no-edit", back)
    git("revert", "--no-edit", git("rev-parse", "HEAD"))
    const text = notes()
    expect(text).toContain("- back (")
    expect(text).not.toMatch(/gone|[Rr]evert/)
  })

  it("name a revert of what the earlier release had", () => {
    const kept = commit("feat: was released")
    git("tag", "v1.1.0")
    git("revert", "--no-edit", kept)
    expect(notes()).toMatch(
      /^# Changes from v1.1.0 to HEAD\n\n## Other changes\n\n- Revert "feat: was released" /,
    )
  })

  it("begin at the tag before the later release, and without one at the beginning", () => {
    commit("feat: more")
    git("tag", "v1.1.0")
    expect(notes("", "v1.1.0")).toMatch(
      /^# Changes from v1\.0\.0 to v1\.1\.0\n\n## Features\n\n- more \(\w{12}\)\n$/,
    )
    git("tag", "--delete", "v1.0.0", "v1.1.0")
    expect(notes()).toMatch(/^# Changes up to HEAD\n[^]*- more [^]*- the beginning /)
    expect(notes("HEAD")).toBe("# Changes from HEAD to HEAD\n\nNothing has changed.\n")
  })

  it("begin at the tag before, also where the later one is checked out or has two names", () => {
    commit("feat: more")
    git("tag", "v1.1.0")
    git("tag", "latest")
    for (const to of ["HEAD", git("rev-parse", "HEAD"), "v1.1.0"])
      expect(notes("", to)).toMatch(/^# Changes from v1\.0\.0 to .*\n\n## Features\n\n- more /)
  })

  it("have a commit without a message, and know what newer git calls the revert of a revert", () => {
    git("commit", "--quiet", "--allow-empty", "--allow-empty-message", "--message", "")
    const back = commit("feat: back")
    git("revert", "--no-edit", back)
    const reverted = git("rev-parse", "HEAD")
    git(
      "commit",
      "--quiet",
      "--allow-empty",
      "--message",
      `Reapply "feat: back"\n\nThis reverts commit ${reverted}.`,
    )
    const text = notes()
    expect(text).toMatch(/## Features\n\n- back \(/)
    expect(text).toContain("- (no message) (")
    expect(text).not.toMatch(/Reapply|Revert/)
  })

  it("are no Markdown or HTML of whoever wrote a commit", () => {
    commit("fix: `<img src=x> is left open")
    expect(notes()).toContain("- \\`\\<img src=x\\> is left open (")
    commit("fix: <img src=x> [link](https://example.com) `code_of_it` snake_case *bold*")
    expect(notes()).toContain(
      "- \\<img src=x\\> \\[link\\](https://example.com) `code_of_it` snake\\_case \\*bold\\* (",
    )
  })

  it("say what is missing", () => {
    expect(() => notes("v9")).toThrow(/there is no tag, branch or commit v9 in this clone/)
    expect(() => notes("--all")).toThrow(/there is no tag, branch or commit --all/)
    const shallow = join(folder, "shallow")
    git("clone", "--quiet", "--depth", "1", `file://${folder}`, shallow)
    expect(() => notes("", "HEAD", shallow)).toThrow(/this is a shallow clone/)
  })
})

describe("a changelog", () => {
  const read = (to: string) =>
    Promise.resolve(readCommits(run("sh", ["-ec", listCommits, "commits", "", to])))

  it("has every release, the newest first, and before them what is in none", async () => {
    const first = git("rev-parse", "--short=12", "HEAD")
    const second = commit("fix: no crash without a name").slice(0, 12)
    git("tag", "v1.1.0")
    const third = commit("feat!: prices are in cents").slice(0, 12)
    const released = `## v1.1.0

### Fixes

- no crash without a name (${second})

## v1.0.0

### Features

- the beginning (${first})
`
    expect(await changelog(read, "HEAD")).toBe(`# Changelog

## Unreleased

### Breaking changes

- prices are in cents (${third})

### Features

- prices are in cents (${third})

${released}`)
    expect(await changelog(read, "v1.1.0")).toBe(`# Changelog\n\n${released}`)
    git("checkout", "--quiet", "v1.1.0")
    expect(await changelog(read, "HEAD")).toBe(`# Changelog\n\n${released}`)
  })
})
