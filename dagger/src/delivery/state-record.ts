import type { z } from "zod"
import { ApiError, type KubernetesApi, type KubernetesObject } from "../clients/kubernetes/client.js"

/** What is known of a component, as JSON in a ConfigMap of its environment. Whoever writes it holds the component's lease. */
export class StateRecord<State> {
  private version?: string | undefined
  private readonly object: KubernetesObject

  /**
   * @param kept.metadata of the ConfigMap
   * @param kept.schema of the state
   * @param kept.nothing the state before the first is written
   * @param kept.kind for people, such as `database`
   * @param kept.name of the component
   * @param kept.remedy what to do about a state that cannot be read
   */
  constructor(
    private readonly cluster: KubernetesApi,
    private readonly kept: {
      metadata: { namespace: string; name: string; labels: Record<string, string> }
      schema: z.ZodType<State>
      nothing: State
      kind: string
      name: string
      remedy: string
    },
  ) {
    this.object = { apiVersion: "v1", kind: "ConfigMap", metadata: kept.metadata }
  }

  /** @throws Error for a state that this version cannot read */
  async read(): Promise<State> {
    const { kind, metadata, name, nothing, remedy, schema } = this.kept
    const live = await this.cluster.read(this.object)
    this.version = live?.metadata?.resourceVersion
    if (!live) return nothing
    try {
      return schema.parse(JSON.parse(live.data?.state ?? ""))
    } catch (error) {
      throw new Error(
        `the state of the ${kind} ${name} cannot be read: ConfigMap ${metadata.namespace}/${metadata.name} is malformed or of a newer version of Pitwall; ${remedy}`,
        { cause: error },
      )
    }
  }

  /** @throws Error when another command has written it since it was read */
  async write(state: State): Promise<void> {
    const data = { state: JSON.stringify(state) }
    try {
      const written =
        this.version === undefined
          ? await this.cluster.create({ ...this.object, data })
          : await this.cluster.merge(this.object, { metadata: { resourceVersion: this.version }, data })
      this.version = written.metadata?.resourceVersion
    } catch (error) {
      if (!(error instanceof ApiError && error.status === 409)) throw error
      throw new Error(
        `another command has changed the state of ${this.kept.name} meanwhile: run this one again`,
        { cause: error },
      )
    }
  }
}
