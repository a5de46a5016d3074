/** Somebody who wrote, committed or co-authored a commit, as git records them. */
export interface Signature {
  name: string
  email: string
  commit: string
}

/**
 * Prints who has a part in the commits between `$1` and `$2`: those that are in the history of one and not of the other, and `$2` itself. An empty `$1`: in all
 * commits up to `$2`. Each commit has six fields that end with a NUL: its id, name and e-mail of its author and of its committer, and its message.
 */
export const listAuthors = `
# History as it was committed, not as this clone replaces it.
export GIT_NO_REPLACE_OBJECTS=1 GIT_GRAFT_FILE=/dev/null
if [ "$(git rev-parse --is-shallow-repository)" != false ]; then
  echo "this is a shallow clone, which does not have every commit; fetch them with git fetch --unshallow" >&2
  exit 1
fi
for commit in \${1:+"$1"} "$2"; do
  case $commit in *[!0-9a-f]* | "") echo "'$commit' is not the id of a commit" >&2; exit 1 ;; esac
  git cat-file -e "$commit^{commit}" 2>/dev/null || {
    echo "the commit $commit is not in this clone; fetch it with git fetch" >&2
    exit 1
  }
done
show() { git log -z --no-mailmap --no-show-signature --no-color --format=tformat:%H%x00%an%x00%ae%x00%cn%x00%ce%x00%B "$@" --; }
show --max-count=1 "$2"
show "\${1:+$1...}$2"`

/**
 * Reads what {@link listAuthors} prints: everybody once, with the first of their commits.
 *
 * @throws Error for a co-author who is not one name with one e-mail
 */
export function readSignatures(output: string): Signature[] {
  const found = new Map<string, Signature>()
  const fields = output.split("\0")
  for (let at = 0; at + 6 < fields.length; at += 6) {
    const [commit = "", author = "", email = "", committer = "", committerEmail = "", message = ""] =
      fields.slice(at, at + 6)
    const all = [
      { name: author, email },
      { name: committer, email: committerEmail },
      ...[...message.matchAll(/^[ \t]*co-authored-by[ \t]*:(.*)$/gim)].map(([, text = ""]) =>
        coAuthor(text, commit),
      ),
    ]
    for (const one of all) {
      const key = `${one.name} <${one.email}>`
      if (!found.has(key)) found.set(key, { ...one, commit })
    }
  }
  return [...found.values()]
}

function coAuthor(text: string, commit: string): Omit<Signature, "commit"> {
  const [, name, email] = /^([^<>]*)<([^<>]+)>\s*$/.exec(text) ?? []
  if (name === undefined || email === undefined) {
    throw new Error(
      `the commit ${commit.slice(0, 12)} has a co-author who is not one name with one e-mail: ${JSON.stringify(text.slice(0, 100))}`,
    )
  }
  return { name: name.trim(), email: email.trim() }
}
