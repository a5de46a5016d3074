import { ApiError, type KubernetesApi, type KubernetesObject } from "../clients/kubernetes/client.js"
import { hexDigest } from "../lib/image-reference.js"
import { oneLine } from "../lib/text.js"
import { approvalsName, guardsNamespace } from "./access.js"
import type { Approval } from "./guards/guards.js"
import { iso } from "./journal.js"

const moment = "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z"

/** Patterns that RE2 and JavaScript read alike: an admission policy refuses entries of another form. */
export const entryPatterns = {
  approval: {
    key: `^[0-9a-z-]+\\.[a-z0-9-]+\\.${hexDigest}$`,
    value: `^by=[^\\n]+\\nat=${moment}\\nexpires=${moment}\\nsettings=sha256:${hexDigest}\\nsecrets=scrypt:${hexDigest}\\nnote=[^\\n]*$`,
  },
  revocation: {
    key: "^[0-9a-z-]+\\.revoked$",
    value: `^by=[^\\n]+\\nat=${moment}\\nreason=[^\\n]+$`,
  },
}

const revokedKey = (id: string) => `${id}.revoked`

/**
 * Approvals of an environment: one ConfigMap in a namespace that its deployers can read only. One, because an admission policy can search one parameter but not several.
 *
 * Entries are only ever added; the admission policies that `access` prints let approvers add them in their own name and change none. The key of an approval is
 * `ID.SERVICE.DIGEST`, an entry for each service, so that a policy finds an image by comparing keys. The key of a revocation is `ID.revoked`. Values are lines of
 * `name=value`, because CEL cannot read JSON.
 */
export class Approvals {
  private readonly object: KubernetesObject

  /** @param environment its namespace */
  constructor(
    private readonly cluster: KubernetesApi,
    environment: string,
  ) {
    const metadata = { namespace: guardsNamespace(environment), name: approvalsName }
    this.object = { apiVersion: "v1", kind: "ConfigMap", metadata }
  }

  /** @throws Error for somebody who may not approve */
  async give(approval: Approval): Promise<void> {
    await this.add(approvalEntries(approval), "approved")
  }

  /**
   * Revokes an approval: it counts for no further deploy. What runs goes on running.
   *
   * @param revocation.at milliseconds since the epoch
   * @throws Error for an approval that does not exist or is revoked already, and for somebody who may not approve
   */
  async revoke(id: string, revocation: { by: string; at: number; reason: string }): Promise<Approval> {
    const all = await this.all()
    const approval = all.find((one) => one.id === id)
    if (!approval) {
      const standing = all.filter(({ revoked }) => !revoked).map((one) => one.id)
      throw new Error(
        `there is no approval ${oneLine(id, 60)}; allowed: ${standing.slice(-10).join(", ") || "none"}`,
      )
    }
    if (approval.revoked) throw new Error(`the approval ${id} was revoked by ${approval.revoked.by} before`)
    await this.add(revocationEntry(id, revocation), "revoked")
    return approval
  }

  /** Reads all approvals, oldest first. Entries of another form do not count. */
  async all(): Promise<Approval[]> {
    try {
      return readApprovals((await this.cluster.read(this.object))?.data)
    } catch (error) {
      throw this.explained(error, "read")
    }
  }

  /**
   * Deletes approvals that expired before a moment and whose images the environment keeps in no revision. Needs an administrator's rights.
   *
   * @param before milliseconds since the epoch
   * @param kept digests of images that revisions have
   * @returns how many were deleted
   */
  async prune(before: number, kept: string[]): Promise<number> {
    const old = (await this.all()).filter(
      ({ expires, digests }) =>
        expires < before && !Object.values(digests).some((digest) => kept.includes(digest)),
    )
    const keys = old.flatMap((approval) => [
      ...Object.keys(approvalEntries(approval)),
      ...(approval.revoked ? [revokedKey(approval.id)] : []),
    ])
    if (keys.length > 0) {
      await this.cluster.merge(this.object, { data: Object.fromEntries(keys.map((key) => [key, null])) })
    }
    return old.length
  }

  /** A merge patch with new keys takes no other writer's entry away. */
  private async add(data: Record<string, string>, what: string): Promise<void> {
    try {
      await this.cluster.merge(this.object, { data })
    } catch (error) {
      throw this.explained(error, what)
    }
  }

  private explained(error: unknown, what: string): unknown {
    if (!(error instanceof ApiError && [403, 404, 422].includes(error.status))) return error
    const { namespace = "" } = this.object.metadata ?? {}
    return new Error(
      `nothing can be ${what} in the namespace ${namespace}: ${error.message}; \`access\` prints what an administrator applies for that`,
      { cause: error },
    )
  }
}

/** The entries of an approval by key. */
export function approvalEntries({
  id,
  by,
  at,
  expires,
  digests,
  contents,
  note,
}: Approval): Record<string, string> {
  return Object.fromEntries(
    Object.entries(digests).map(([service, digest]) => [
      `${id}.${service}.${digest.replace("sha256:", "")}`,
      lines({
        by,
        at: iso(at),
        expires: iso(expires),
        settings: contents[service]?.settings ?? "",
        secrets: contents[service]?.secrets ?? "",
        note: oneLine(note ?? ""),
      }),
    ]),
  )
}

function revocationEntry(
  id: string,
  { by, at, reason }: { by: string; at: number; reason: string },
): Record<string, string> {
  return { [revokedKey(id)]: lines({ by, at: iso(at), reason: oneLine(reason) }) }
}

const lines = (values: Record<string, string>) =>
  Object.entries(values)
    .map(([name, value]) => `${name}=${value}`)
    .join("\n")

/** Reads the entries of the ConfigMap. One of another form than an approval or a revocation is left out: it permits nothing. */
export function readApprovals(data: Record<string, string> = {}): Approval[] {
  const all = new Map<string, Approval>()
  const { approval, revocation } = entryPatterns
  const has = (key: string, value: string, { key: k, value: v }: { key: string; value: string }) =>
    new RegExp(k).test(key) && new RegExp(v).test(value)
  for (const [key, value] of Object.entries(data)) {
    if (!has(key, value, approval)) continue
    const [id = "", service = "", hex = ""] = key.split(".")
    const { by = "", at = "", expires = "", settings = "", secrets = "", note = "" } = valuesOf(value)
    const known = all.get(id)
    // Entries of one id by several people would mix what each of them approved.
    if (known && known.by !== by) {
      all.set(id, { ...known, expires: NaN })
      continue
    }
    all.set(id, {
      id,
      by,
      at: Date.parse(at),
      expires: Math.min(Date.parse(expires), known?.expires ?? Infinity),
      digests: { ...known?.digests, [service]: `sha256:${hex}` },
      contents: { ...known?.contents, [service]: { settings, secrets } },
      ...(note !== "" && { note }),
    })
  }
  for (const [key, value] of Object.entries(data)) {
    const found = all.get(key.replace(/\.revoked$/, ""))
    if (!found || !key.endsWith(".revoked")) continue
    // Whatever its form is, the admission policy takes it for a revocation.
    const { by = "somebody", at = "", reason = "" } = has(key, value, revocation) ? valuesOf(value) : {}
    found.revoked = { by, at: Date.parse(at), reason }
  }
  return [...all.values()].sort((one, other) => one.at - other.at)
}

const valuesOf = (text: string) =>
  Object.fromEntries(
    text.split("\n").map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]),
  ) as Record<string, string>
