import { type Container, dag, type Directory, ReturnType, type Workspace } from "@dagger.io/dagger"
import { images } from "../../platform/base-images.js"
import { withPackages } from "../../platform/packages.js"
import { type CommitRange, listCommits, readCommits } from "./commits.js"
import { listAuthors, readSignatures, type Signature } from "./authors.js"

/** The checkout on the caller's machine, as git sees it. */
export class Worktree {
  constructor(private readonly workspace: Workspace) {}

  /**
   * Every file that git tracks, and every new file that .gitignore does not exclude. Without git, every file that .gitignore does not exclude.
   *
   * @throws Error when git's index cannot be read, as in a linked worktree
   */
  async files(): Promise<Directory> {
    const visible = this.workspace.directory("/", { exclude: [".git", installedPackages], gitignore: true })
    const hidden = await this.trackedButIgnored()
    if (hidden.length === 0) return visible
    return visible.withDirectory(".", this.workspace.directory("/", { include: hidden.map(literal) }))
  }

  /**
   * The paths that differ between the checkout, uncommitted changes included, and the commit where its history left that of a ref. Additions, removals, both
   * names of a renamed file, changed modes and submodules all count.
   *
   * @param ref such as `origin/main` or a commit
   * @throws Error when git cannot tell, as in a shallow clone
   */
  async changedSince(ref: string): Promise<string[]> {
    return paths(
      await (await this.repository()).withExec(["sh", "-ec", changedPaths, "changes", ref]).stdout(),
    )
  }

  /**
   * Everybody who wrote, committed or co-authored a commit between two.
   *
   * @param from nothing: all commits up to the second
   * @throws Error when git cannot tell, as in a shallow clone or for a commit that it does not have
   */
  async authors(from: string | undefined, to: string): Promise<Signature[]> {
    const output = git()
      .withMountedDirectory("/repository/.git", this.workspace.directory("/.git"))
      .withExec(["sh", "-ec", listAuthors, "authors", from ?? "", to], { expect: ReturnType.Any })
    const [code, text, fault] = await Promise.all([output.exitCode(), output.stdout(), output.stderr()])
    if (code !== 0)
      throw new Error(`git cannot tell who wrote ${from ?? "everything"} to ${to}: ${fault.trim()}`)
    return readSignatures(text)
  }

  /**
   * The commits between two, each change once: no merges, and none whose change the first has already.
   *
   * @param from a tag, branch or commit; empty: the newest tag before the second, and without one, the beginning
   * @throws Error when git cannot tell, as in a shallow clone or for a name that it does not have
   */
  async commits(from: string, to: string): Promise<CommitRange> {
    const output = git()
      .withMountedDirectory("/repository/.git", this.workspace.directory("/.git"))
      .withExec(["sh", "-ec", listCommits, "commits", from, to], { expect: ReturnType.Any })
    const [code, text, fault] = await Promise.all([output.exitCode(), output.stdout(), output.stderr()])
    if (code !== 0) throw new Error(`git cannot tell what changed: ${fault.trim()}`)
    return readCommits(text)
  }

  /**
   * A file as the commit that is checked out has it.
   *
   * @throws Error when git cannot tell, and for a file that the commit does not have
   */
  async committed(path: string): Promise<string> {
    const output = git()
      .withMountedDirectory("/repository/.git", this.workspace.directory("/.git"))
      .withExec(["git", "show", `HEAD:${path}`], { expect: ReturnType.Any })
    const [code, text, fault] = await Promise.all([output.exitCode(), output.stdout(), output.stderr()])
    if (code !== 0) throw new Error(`git cannot show ${path} as it is committed: ${fault.trim()}`)
    return text
  }

  /** The commit that is checked out, with the suffix `-dirty` when files differ from it. */
  async revision(): Promise<string> {
    return (await (await this.repository()).withExec(["sh", "-ec", describeHead]).stdout()).trim()
  }

  private async repository(): Promise<Container> {
    return git()
      .withMountedDirectory("/repository", await this.files())
      .withMountedDirectory("/repository/.git", this.workspace.directory("/.git"))
  }

  /** Tracked files that .gitignore excludes or that are in node_modules; they were added by force, or before the rule. */
  private async trackedButIgnored(): Promise<string[]> {
    // Two files of .git are enough for this question, and much smaller than history.
    const index = this.workspace.directory("/", {
      include: [
        ".git/HEAD",
        ".git/config",
        ".git/index",
        ".git/sharedindex.*",
        ".git/info/exclude",
        "**/.gitignore",
      ],
      exclude: [".git/objects", ".git/logs", ".git/lfs", ".git/modules", installedPackages],
      gitignore: true,
    })
    const found = await index.glob(".git/*")
    if (!found.includes(".git/HEAD")) {
      if ((await this.workspace.directory("/", { include: [".git"] }).glob(".git")).length === 0) return []
      throw new Error(
        "git's index cannot be read: .git is a file, as in a linked worktree or a submodule; run this in a clone",
      )
    }
    if (!found.includes(".git/index")) return []
    return paths(
      await git().withDirectory("/repository", index).withExec(["sh", "-ec", trackedButIgnored]).stdout(),
    )
  }
}

/** The CLI would walk through them even where .gitignore excludes them. Tracked files in them are found in git's index. */
const installedPackages = "**/node_modules"

/** Prints paths, each ended by a NUL. It needs the index and the ignore files only. */
export const trackedButIgnored = `
git init --quiet
git ls-files -z --cached --ignored --exclude-standard --exclude=node_modules/`

/**
 * Has git look at every file. A user can tell it not to, by bits of the index and by a program that names what changed; a sparse checkout lacks files by such bits,
 * so there they stay.
 */
const everyFile = `
export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=core.fsmonitor GIT_CONFIG_VALUE_0=false
flagged() { git ls-files -z -v | tr '\\n\\0' '\\0\\n' | LC_ALL=C sed -n "s/^$1 //p" | tr '\\n\\0' '\\0\\n'; }
flagged '[a-z]' | git update-index -z --no-assume-unchanged --stdin
if [ "$(git config --type=bool --default=false core.sparseCheckout)" = false ]; then
  flagged '[Ss]' | git update-index -z --no-skip-worktree --stdin
fi`

/** Prints paths, each ended by a NUL. */
export const changedPaths = `${everyFile}
commit=$(git rev-parse --verify --quiet --end-of-options "$1^{commit}") || { echo "there is no commit $1" >&2; exit 1; }
base=$(git merge-base HEAD "$commit") || { echo "HEAD and $1 have no common history here" >&2; exit 1; }
git diff --name-only -z --no-renames --ignore-submodules=none "$base"
git ls-files -z --others --exclude-standard`

export const describeHead = `${everyFile}
head=$(git rev-parse HEAD)
if [ -n "$(git status --porcelain --untracked-files=normal --ignore-submodules=none)" ]; then head=$head-dirty; fi
echo "$head"`

function git(): Container {
  return (
    withPackages(dag.container().from(images.debian), "git")
      // The files belong to another user than git's.
      .withExec(["git", "config", "--system", "safe.directory", "*"])
      .withWorkdir("/repository")
  )
}

/** Splits output whose paths end with a NUL. */
export function paths(output: string): string[] {
  return output.split("\0").filter((path) => path !== "")
}

/** A pattern that matches this path only. */
function literal(path: string): string {
  return path.replace(/[*?[\]\\]/g, "\\$&")
}
