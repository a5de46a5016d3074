import { execFileSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { listAuthors, readSignatures } from "../../src/ci/worktree/authors.js"

// The very script that runs in the container, on a real repository.
let folder: string
const git = (args: string[], env: Record<string, string> = {}) =>
  execFileSync("git", args, {
    cwd: folder,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...env },
  }).trim()

/** Commits something, and returns its id. */
function commit(author: string, { committer = author, message = "x" } = {}): string {
  git(["commit", "--quiet", "--allow-empty", "--cleanup=verbatim", "--message", message], {
    GIT_AUTHOR_NAME: author,
    GIT_AUTHOR_EMAIL: `${author}@example.com`,
    GIT_COMMITTER_NAME: committer,
    GIT_COMMITTER_EMAIL: `${committer}@example.com`,
  })
  return git(["rev-parse", "HEAD"])
}
const signatures = (from: string, to: string, cwd = folder) =>
  readSignatures(
    execFileSync("sh", ["-ec", listAuthors, "authors", from, to], {
      cwd,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "pipe"],
    }),
  )
const emails = (from: string, to: string, cwd = folder) =>
  signatures(from, to, cwd).map(({ email }) => email.replace("@example.com", ""))

let [first, second]: string[] = []
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "authors-"))
  git(["init", "--quiet", "--initial-branch", "main"])
  first = commit("ada")
  second = commit("bob")
})
afterEach(() => {
  rmSync(folder, { recursive: true })
})

describe("the authors between two commits", () => {
  it("are those of every commit after the first, with its committer and its co-authors", () => {
    const third = commit("carol", {
      committer: "web-flow",
      message:
        "Add it\n\nIt was missing.\n\nCo-authored-by: Dan <dan@example.com>\nco-authored-BY: Eve <eve@example.com>  \n\nSigned-off-by: x <x@example.com>",
    })
    expect(emails(first ?? "", third)).toEqual(["carol", "web-flow", "dan", "eve", "bob"])
    expect(signatures(second ?? "", third)[0]).toEqual({
      name: "carol",
      email: "carol@example.com",
      commit: third,
    })
  })

  it("are those of all commits where nothing is live yet", () => {
    expect(emails("", second ?? "")).toEqual(["bob", "ada"])
  })

  it("are those of a merged branch too", () => {
    git(["checkout", "--quiet", "-b", "branch", first ?? ""])
    commit("carol")
    git(["checkout", "--quiet", "main"])
    git(["merge", "--quiet", "--no-ff", "branch", "--message", "merge"], {
      GIT_AUTHOR_NAME: "dan",
      GIT_AUTHOR_EMAIL: "dan@example.com",
      GIT_COMMITTER_NAME: "dan",
      GIT_COMMITTER_EMAIL: "dan@example.com",
    })
    expect(emails(second ?? "", git(["rev-parse", "HEAD"])).sort()).toEqual(["carol", "dan"])
  })

  it("are never nobody: a commit counts that is live already, and commits that an older release takes out", () => {
    expect(emails(second ?? "", second ?? "")).toEqual(["bob"])
    expect(emails(second ?? "", first ?? "")).toEqual(["ada", "bob"])
  })

  it("are as git recorded them, not as a mailmap or a replacement says", () => {
    writeFileSync(join(folder, ".mailmap"), "Ada <ada@example.com> <bob@example.com>\n")
    git(["add", "."])
    const third = commit("carol")
    git(["replace", third, first ?? ""])
    expect(emails(first ?? "", third)).toEqual(["carol", "bob"])
  })

  it("are unknown in a shallow clone, also for commits that it has", () => {
    const shallow = join(folder, "shallow")
    git(["clone", "--quiet", "--depth", "1", `file://${folder}`, shallow])
    expect(() => emails(second ?? "", second ?? "", shallow)).toThrow(/this is a shallow clone/)
  })

  it.each([
    ["a commit that this clone does not have", "1".repeat(40), /the commit 1{40} is not in this clone/],
    ["what is no commit", "HEAD", /'HEAD' is not the id of a commit/],
    ["an option", "--all", /'--all' is not the id of a commit/],
  ])("are unknown for %s", (_, from, message) => {
    expect(() => emails(from, second ?? "")).toThrow(message)
    expect(() => emails(second ?? "", from)).toThrow(message)
  })

  it("are unknown without a commit", () => {
    expect(() => emails(first ?? "", "")).toThrow(/'' is not the id of a commit/)
  })

  it.each(["Dan", "Dan <dan@example.com>, Eve <eve@example.com>", "Dan <dan@example.com> and Eve", "<>"])(
    "are unknown where a co-author is %j, who is not one person with an e-mail",
    (text) => {
      const third = commit("carol", { message: `x\n\nCo-authored-by: ${text}` })
      expect(() => emails(second ?? "", third)).toThrow(/has a co-author who is not one name with one e-mail/)
    },
  )

  it("are those of co-authors however the line is set", () => {
    const third = commit("carol", {
      message:
        "x\n\n  Co-authored-by: Dan <dan@example.com>\nCo-authored-by : Eve <eve@example.com>\nCo-authored-by:<fay@example.com>",
    })
    expect(emails(second ?? "", third)).toEqual(["carol", "dan", "eve", "fay"])
  })

  it("have names with any characters, once each", () => {
    const third = commit('O"Neil \\n Élan')
    commit('O"Neil \\n Élan')
    const found = signatures(second ?? "", git(["rev-parse", "HEAD"]))
    expect(found.map(({ name }) => name)).toEqual(['O"Neil \\n Élan'])
    expect(third).not.toBe(found[0]?.commit)
  })
})
