import type { V1Pod } from "@kubernetes/client-node"
import { redacted } from "../../lib/redaction.js"
import type { KubernetesApi } from "./client.js"
import type { Plain } from "./manifest.js"

/**
 * The log of a pod's container, without the values of the Secrets that the pod uses: what a log says is shown and stored where more people read than in the namespace.
 *
 * @param options as of {@link KubernetesApi.logs}
 * @throws Error if the log, or a Secret whose values it could hold, cannot be read
 */
export async function podLog(
  cluster: KubernetesApi,
  { metadata, spec }: Plain<V1Pod>,
  options: { container: string; previous?: boolean; lines?: number },
): Promise<string> {
  const { namespace = "", name = "" } = metadata ?? {}
  const [log, ...secrets] = await Promise.all([
    cluster.logs(namespace, name, options),
    ...secretNames(spec).map(async (secret) => {
      const object = { apiVersion: "v1", kind: "Secret", metadata: { namespace, name: secret } }
      // One that does not exist has no values.
      return Object.values((await cluster.read(object))?.data ?? {})
    }),
  ])
  return redacted(
    log,
    secrets.flat().map((value) => Buffer.from(value, "base64").toString()),
  )
}

/** The Secrets that a pod's containers can read. */
function secretNames(spec: Plain<V1Pod>["spec"]): string[] {
  const volumes = (spec?.volumes ?? []).flatMap(({ secret, projected }) => [
    secret?.secretName,
    ...(projected?.sources ?? []).map((source) => source.secret?.name),
  ])
  const containers = [...(spec?.initContainers ?? []), ...(spec?.containers ?? [])]
  const variables = containers.flatMap(({ env, envFrom }) => [
    ...(env ?? []).map(({ valueFrom }) => valueFrom?.secretKeyRef?.name),
    ...(envFrom ?? []).map(({ secretRef }) => secretRef?.name),
  ])
  return [...new Set([...volumes, ...variables].filter((name) => name !== undefined))]
}
