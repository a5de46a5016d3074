import { z } from "zod"
import { section } from "../../lib/document.js"
import { oneLine } from "../../lib/text.js"

const names = z.array(z.string().trim().min(1)).default([])

const identity = section({
  name: z.string().trim().min(1),
  emails: names,
  github: names,
  kubernetes: names,
  bot: z.boolean().default(false),
}).refine(
  ({ emails, github, kubernetes }) => [...emails, ...github, ...kubernetes].length > 0,
  "at least one of emails, github and kubernetes, by which somebody can be recognized",
)

/** The same for two spellings of one name. */
export const normalized = (name: string): string => name.normalize("NFKC").trim().toLowerCase()

/** Who is who: the names that one person has in git, on GitHub and in the cluster; see `dagger/config/deploy.yaml`. */
export const identitiesSection = z
  .array(identity)
  .default([])
  .superRefine((all, context) => {
    for (const key of ["name", "emails", "github", "kubernetes"] as const) {
      const owners = new Map<string, string>()
      for (const [at, one] of all.entries()) {
        for (const text of [one[key]].flat()) {
          const owner = owners.get(normalized(text))
          if (owner !== undefined) {
            const message = `"${text}" is of ${owner} already; a name belongs to one entry`
            context.addIssue({ code: "custom", path: [at, key], message })
          }
          owners.set(normalized(text), one.name)
        }
      }
    }
  })

/** A person, or a bot. */
export type Identity = z.output<typeof identitiesSection>[number]

/** Somebody who has a part in a change. */
export type Author =
  /** The author, the committer or a co-author of a commit. */
  | { name: string; email: string; commit: string }
  /** Somebody whom a command names: by an e-mail, a login of GitHub, a user of the cluster, or the name of an entry. */
  | { named: string }

/** Everybody who has a part in a change, or why that cannot be told; `none`: nobody wrote anything, as for a restore. */
export type Authors = { known: Author[] } | { unknown: string } | { none: true }

/** E-mails by which GitHub hides a person's own, such as `12345+ada@users.noreply.github.com`. */
const hidden = /^(?:\d+\+)?([^@+]+)@users\.noreply\.github\.com$/

/** The identities that an author may be; none for somebody unknown. */
export function identitiesOf(author: Author, identities: Identity[]): Identity[] {
  const has = (names: string[], name: string) => names.some((one) => normalized(one) === normalized(name))
  if ("named" in author) {
    return identities.filter(({ name, emails, github, kubernetes }) =>
      has([name, ...emails, ...github, ...kubernetes], author.named),
    )
  }
  const [, login = ""] = hidden.exec(normalized(author.email)) ?? []
  return identities.filter(({ emails, github }) => has(emails, author.email) || has(github, login))
}

/** The identity of a user of the cluster. */
export const identityOfUser = (user: string, identities: Identity[]): Identity | undefined =>
  identities.find(({ kubernetes }) => kubernetes.some((one) => normalized(one) === normalized(user)))

/** A service account deploys for a machine, such as CI, and is no person unless it is mapped to one. */
export const isServiceAccount = (user: string): boolean => user.startsWith("system:serviceaccount:")

/** An author as a message names them, such as `Ada <ada@example.com> (commit 0123456789ab)`. */
export const authorText = (author: Author): string =>
  "named" in author
    ? oneLine(author.named, 100)
    : oneLine(`${author.name} <${author.email}> (commit ${author.commit.slice(0, 12)})`, 200)
