import { execFileSync } from "node:child_process"
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { changedPaths, describeHead, paths, trackedButIgnored } from "../../src/ci/worktree/worktree.js"

// The very scripts that run in the container, on a real repository.
let folder: string
const run = (file: string, args: string[], cwd = folder) =>
  execFileSync(file, args, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] })
const git = (...args: string[]) =>
  run("git", [
    "-c",
    "user.name=Ada",
    "-c",
    "user.email=ada@example.org",
    "-c",
    "protocol.file.allow=always",
    ...args,
  ])
const write = (path: string, text = path) => {
  mkdirSync(dirname(join(folder, path)), { recursive: true })
  writeFileSync(join(folder, path), text)
}
const commit = () => {
  git("add", "--all")
  git("commit", "--quiet", "--message", "x")
}
const changes = (ref = "base") => paths(run("sh", ["-ec", changedPaths, "changes", ref])).sort()
const revision = () => run("sh", ["-ec", describeHead]).trim()

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "worktree-"))
  git("init", "--quiet", "--initial-branch", "main")
  write(".gitignore", "*.log\n")
  for (const path of ["services/api/app.py", "services/api/lib/a.py", "services/web/run.sh", "README.md"])
    write(path)
  commit()
  git("tag", "base")
})
afterEach(() => {
  rmSync(folder, { recursive: true })
})

describe("changedPaths", () => {
  it("is empty without a change", () => {
    expect(changes()).toEqual([])
  })

  it.each<[string, () => void, string[]]>([
    [
      "an added file",
      () => {
        write("services/new/Dockerfile")
      },
      ["services/new/Dockerfile"],
    ],
    [
      "a modified file",
      () => {
        write("README.md", "new")
      },
      ["README.md"],
    ],
    [
      "a removed folder",
      () => {
        rmSync(join(folder, "services/api"), { recursive: true })
      },
      ["services/api/app.py", "services/api/lib/a.py"],
    ],
    [
      "a file that moves between services",
      () => {
        renameSync(join(folder, "services/api/app.py"), join(folder, "services/web/app.py"))
      },
      ["services/api/app.py", "services/web/app.py"],
    ],
    [
      "a changed mode",
      () => {
        chmodSync(join(folder, "services/web/run.sh"), 0o755)
      },
      ["services/web/run.sh"],
    ],
    [
      "a name with blanks, quotes and a line break",
      () => {
        write('services/my "dir"\n/größe.py')
      },
      ['services/my "dir"\n/größe.py'],
    ],
  ])("has %s, committed or not", (_, change, expected) => {
    change()
    expect(changes()).toEqual(expected)
    commit()
    expect(changes()).toEqual(expected)
  })

  it("looks at files itself, whatever a monitor of the file system says", () => {
    const monitor = join(folder, ".git/monitor")
    writeFileSync(monitor, "#!/bin/sh\nprintf 'token\\0'\n", { mode: 0o755 })
    git("config", "core.fsmonitor", monitor)
    git("config", "core.fsmonitorHookVersion", "2")
    git("status")
    write("services/api/app.py", "new")
    expect(changes()).toEqual(["services/api/app.py"])
    expect(revision()).toMatch(/-dirty$/)
  })

  it("has a submodule that is added, and one that moves to another commit", () => {
    const other = join(folder, "../", `${folder.split("/").at(-1) ?? ""}-other`)
    mkdirSync(other)
    try {
      run("git", ["init", "--quiet"], other)
      const record = () =>
        run(
          "git",
          [
            "-c",
            "user.name=Ada",
            "-c",
            "user.email=ada@example.org",
            "commit",
            "--quiet",
            "--allow-empty",
            "--message",
            "x",
          ],
          other,
        )
      record()
      git("submodule", "--quiet", "add", other, "vendor")
      expect(changes()).toEqual([".gitmodules", "vendor"])
      commit()
      git("tag", "with-submodule")
      expect(changes("with-submodule")).toEqual([])
      record()
      run("git", ["pull", "--quiet"], join(folder, "vendor"))
      expect(changes("with-submodule")).toEqual(["vendor"])
    } finally {
      rmSync(other, { recursive: true })
    }
  })

  it.each(["--assume-unchanged", "--skip-worktree"])(
    "has files that git was told to overlook by %s, whatever they are called",
    (bit) => {
      write('services/my "dir"\n/größe.py')
      commit()
      git("tag", "overlooked")
      for (const path of ["README.md", 'services/my "dir"\n/größe.py']) {
        git("update-index", bit, path)
        write(path, "new")
      }
      expect(git("status", "--porcelain")).toBe("")
      expect(changes("overlooked")).toEqual(["README.md", 'services/my "dir"\n/größe.py'])
    },
  )

  it("misses no change during a merge, and takes no file that a sparse checkout lacks for a removed one", () => {
    git("checkout", "--quiet", "-b", "other")
    write("README.md", "theirs")
    commit()
    git("checkout", "--quiet", "main")
    write("README.md", "ours")
    commit()
    expect(() => git("merge", "--quiet", "other")).toThrow()
    expect(changes()).toEqual(["README.md"])
    git("reset", "--quiet", "--hard", "base")
    git("sparse-checkout", "set", "services/api")
    write("services/api/app.py", "new")
    expect(changes()).toEqual(["services/api/app.py"])
  })

  it("leaves out what .gitignore excludes, and what changed on the other branch only", () => {
    write("debug.log")
    git("checkout", "--quiet", "-b", "other")
    write("services/web/other.ts")
    commit()
    git("checkout", "--quiet", "main")
    expect(changes("other")).toEqual([])
  })

  it.each([["nowhere"], ["--output=x"], [""]])("fails for the ref %j", (ref) => {
    expect(() => changes(ref)).toThrow(/there is no commit/)
  })

  it("fails without a common history, as in a shallow clone", () => {
    git("checkout", "--quiet", "--orphan", "elsewhere")
    write("elsewhere.md")
    commit()
    expect(() => changes()).toThrow(/no common history/)
  })
})

describe("trackedButIgnored", () => {
  it("lists what is tracked although .gitignore excludes it, and no installed package", () => {
    mkdirSync(join(folder, "services/node_modules"))
    for (const path of ["debug.log", "services/my \n.log", "services/node_modules/x.log", "other.log"])
      write(path)
    write("services/.gitignore", "secret\n")
    write("services/secret/key.pem")
    git("add", "--force", "debug.log", "services/my \n.log", "services/secret/key.pem")
    commit()
    // Two files of .git and the ignore files are enough: nothing else reaches the container.
    const bare = mkdtempSync(join(tmpdir(), "index-"))
    try {
      for (const path of [".git/HEAD", ".git/index", ".gitignore", "services/.gitignore"]) {
        mkdirSync(dirname(join(bare, path)), { recursive: true })
        copyFileSync(join(folder, path), join(bare, path))
      }
      expect(paths(run("sh", ["-ec", trackedButIgnored], bare)).sort()).toEqual([
        "debug.log",
        "services/my \n.log",
        "services/secret/key.pem",
      ])
    } finally {
      rmSync(bare, { recursive: true })
    }
  })
})

describe("describeHead", () => {
  it("names the commit", () => {
    expect(revision()).toBe(git("rev-parse", "HEAD").trim())
    write("debug.log")
    expect(revision()).not.toContain("dirty")
  })

  it.each<[string, () => void]>([
    [
      "a modified file",
      () => {
        write("README.md", "new")
      },
    ],
    [
      "a new file",
      () => {
        write("new.md")
      },
    ],
    [
      "a removed file",
      () => {
        rmSync(join(folder, "README.md"))
      },
    ],
    [
      "a new file where git was told not to show any",
      () => {
        git("config", "status.showUntrackedFiles", "no")
        write("new.md")
      },
    ],
    [
      "a modified file that git was told to overlook",
      () => {
        git("update-index", "--assume-unchanged", "README.md")
        write("README.md", "new")
      },
    ],
  ])("marks a checkout with %s", (_, change) => {
    change()
    expect(revision()).toBe(`${git("rev-parse", "HEAD").trim()}-dirty`)
  })
})
