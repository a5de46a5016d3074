/** A commit, as git records it. */
export interface Commit {
  id: string
  message: string
}

/**
 * Prints the commits in the history of `$2` that the history of `$1` lacks, newest first, without merges and without those whose change `$1` has by another commit, such
 * as a cherry-pick. An empty `$1`: since the newest tag before `$2`, and without one, all. The first two lines name both ends, HEAD by its
 * tag if it has one; each commit has two fields that end with a
 * NUL: its id and its message.
 */
export const listCommits = `
export GIT_NO_REPLACE_OBJECTS=1 GIT_GRAFT_FILE=/dev/null
if [ "$(git rev-parse --is-shallow-repository)" != false ]; then
  echo "this is a shallow clone, which does not have every commit; fetch them with git fetch --unshallow --tags" >&2
  exit 1
fi
found() {
  git rev-parse --verify --quiet --end-of-options "$1^{commit}" || {
    echo "there is no tag, branch or commit $1 in this clone" >&2
    exit 1
  }
}
to=$(found "$2")
from=$1
if [ -z "$from" ]; then from=$(git describe --tags --abbrev=0 $(git tag --points-at "$to" | sed s/^/--exclude=/) "$to" 2>/dev/null || true); fi
if [ -n "$from" ]; then start=$(found "$from"); fi
echo "$from"
if [ "$2" = HEAD ]; then git describe --tags --exact-match "$to" 2>/dev/null || echo HEAD; else echo "$2"; fi
if [ -n "$from" ]; then set -- --cherry-pick --right-only "$start...$to"; else set -- "$to"; fi
git log -z --no-merges --no-mailmap --no-show-signature --no-color --format=tformat:%H%x00%B "$@" --`

/** What {@link listCommits} prints: both ends, as they are called, and the commits between them, newest first. */
export interface CommitRange {
  /** Empty: the beginning. */
  from: string
  to: string
  commits: Commit[]
}

export function readCommits(output: string): CommitRange {
  const [from = "", to = "", ...rest] = output.split("\n")
  const fields = rest.join("\n").split("\0")
  const commits: Commit[] = []
  for (let at = 0; at + 2 < fields.length; at += 2) {
    const [id = "", message = ""] = fields.slice(at, at + 2)
    commits.push({ id, message })
  }
  return { from, to, commits }
}
