import { trace } from "@opentelemetry/api"
import { NodeTracerProvider, type SpanProcessor } from "@opentelemetry/sdk-trace-node"
import { defaultResource, resourceFromAttributes } from "@opentelemetry/resources"

/**
 * Takes the place of the class of this name in @opentelemetry/sdk-node, for the one use that the SDK makes of it.
 * The original brings exporters of every signal and protocol with it, half of what the SDK takes to start.
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
