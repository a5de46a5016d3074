import { trace } from "@opentelemetry/api"
import { NodeTracerProvider, type SpanProcessor } from "@opentelemetry/sdk-trace-node"
import { defaultResource, resourceFromAttributes } from "@opentelemetry/resources"

/**
 * Replaces the class of this name in @opentelemetry/sdk-node. The original loads exporters for every signal and
 * protocol, which takes half of the SDK's start; the SDK uses it for traces only.
 */
export class NodeSDK {
  readonly #provider: NodeTracerProvider

  constructor({ serviceName, spanProcessors }: { serviceName: string; spanProcessors: SpanProcessor[] }) {
    const resource = defaultResource().merge(resourceFromAttributes({ "service.name": serviceName }))
    this.#provider = new NodeTracerProvider({ resource, spanProcessors })
  }

  start(): void {
    this.#provider.register()
  }

  shutdown(): Promise<void> {
    return this.#provider.shutdown()
  }
}
