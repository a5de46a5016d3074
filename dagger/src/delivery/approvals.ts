import type { V1ConfigMap } from "@kubernetes/client-node"
import { z } from "zod"
import type { Approval } from "./guards/guards.js"
import { ApiError, type KubernetesApi } from "../clients/kubernetes/client.js"
import { approvalMark, approvalsNamespace } from "./access.js"
import { managedBy, type Plain } from "../clients/kubernetes/manifest.js"

/**
 * Approvals of an environment, as ConfigMaps in a namespace that its deployers can read only.
 *
 * Who gave one is its `by`. The admission policy that `access` prints makes the API server refuse one in another's name; in a cluster without that policy
 * (it is of Kubernetes 1.30 and later) any approver could write the name of another approver. When it was given is the API server's word.
 */
export class Approvals {
  private readonly namespace: string

  /** @param environment its namespace */
  constructor(
    private readonly cluster: KubernetesApi,
    environment: string,
  ) {
    this.namespace = approvalsNamespace(environment)
  }

  /** @throws Error for somebody who may not approve */
  async give(approval: Omit<Approval, "at">): Promise<void> {
    await this.cluster.create(approvalObject(this.namespace, approval)).catch((error: unknown) => {
      throw this.denied(error, "approved")
    })
  }

  async all(): Promise<Approval[]> {
    try {
      return (await this.cluster.list("v1", "ConfigMap", this.namespace, approvalMark.label)).map(
        readApproval,
      )
    } catch (error) {
      throw this.denied(error, "read")
    }
  }

  private denied(error: unknown, what: string): unknown {
    if (!(error instanceof ApiError && [403, 404, 422].includes(error.status))) return error
    const reason = `nothing can be ${what} in the namespace ${this.namespace}: ${error.message}`
    return new Error(`${reason}; \`access\` prints what an administrator applies for that`, { cause: error })
  }
}

export function approvalObject(
  namespace: string,
  { id, by, expires, digests, note }: Omit<Approval, "at">,
): Plain<V1ConfigMap> {
  return {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { namespace, name: `approval-${id}`, labels: { [approvalMark.label]: "given", ...managedBy } },
    immutable: true,
    data: {
      [approvalMark.by]: by,
      digests: JSON.stringify(digests),
      expires: new Date(expires).toISOString(),
      ...(note !== undefined && { note }),
    },
  }
}

/** What cannot be read of it is left empty, and makes it one that does not count. */
export function readApproval({ metadata, data = {} }: Plain<V1ConfigMap>): Approval {
  const { digests = "", expires = "", note } = data
  return {
    id: (metadata?.name ?? "").replace(/^approval-/, ""),
    by: data[approvalMark.by] ?? "",
    at: new Date(metadata?.creationTimestamp ?? NaN).getTime(),
    expires: Date.parse(expires),
    digests: readDigests(digests),
    ...(note !== undefined && { note }),
  }
}

function readDigests(text: string): Record<string, string> {
  try {
    return z.record(z.string(), z.string()).parse(JSON.parse(text))
  } catch {
    return {}
  }
}
