import type { Clock } from "../lib/clock.js"
import { type Credentials, S3Bucket } from "./bucket.js"
import type { Stores } from "./deployed-frontend.js"
import { InvalidationEdge, KeyValueEdge } from "./edge.js"
import { CloudFrontInvalidations } from "./invalidation.js"
import { KeyValueStore } from "./key-value-store.js"
import type { Layout } from "./layout.js"
import { ObjectPointer } from "./object-pointer.js"
import type { FrontendSettings } from "./settings.js"

/** The bucket and the edge of a web app, as they are reached at AWS or at the endpoints of the settings. */
export function storesOf(
  { app, bucket: name, region, endpoint, edge, preview }: FrontendSettings,
  layout: Layout,
  { credentials, clock }: { credentials: Credentials; clock: Clock },
): Stores {
  const bucket = new S3Bucket({ bucket: name, region, endpoint, credentials })
  const parts = { bucket, layout, clock }
  if (edge.kind === "key-value-store") {
    const pointers = new KeyValueStore(edge.store, app, { credentials, endpoint: edge.endpoint })
    return {
      bucket,
      edge: new KeyValueEdge({ ...parts, pointers }),
      ...(preview && { previews: pointers.previews() }),
    }
  }
  const invalidations = new CloudFrontInvalidations(edge.distribution, clock, {
    credentials,
    endpoint: edge.endpoint,
  })
  return {
    bucket,
    edge: new InvalidationEdge({ ...parts, pointers: new ObjectPointer(bucket, layout), invalidations }),
  }
}
