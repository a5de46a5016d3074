import {
  CloudFrontKeyValueStoreClient,
  type CloudFrontKeyValueStoreClientConfig,
  ConflictException,
  DescribeKeyValueStoreCommand,
  GetKeyCommand,
  PutKeyCommand,
  ResourceNotFoundException,
} from "@aws-sdk/client-cloudfront-keyvaluestore"
// The client signs for all regions at once, and finds this by being imported.
import "@aws-sdk/signature-v4a"
import type { Credentials } from "./bucket.js"
import type { PointerStore } from "./pointer.js"

const attempts = 5

/** CloudFront's KeyValueStore: a change reaches the edge within seconds, and nothing has to be invalidated. */
export class KeyValueStore implements PointerStore {
  private readonly client: CloudFrontKeyValueStoreClient

  /**
   * @param arn of the store
   * @param key of the value; the app's name
   * @param endpoint replaces CloudFront's own
   */
  constructor(
    private readonly arn: string,
    private readonly key: string,
    { credentials, endpoint }: { credentials: Credentials; endpoint?: string | undefined },
  ) {
    this.client = new CloudFrontKeyValueStoreClient({
      region: "us-east-1",
      credentials,
      maxAttempts: attempts,
      ...(endpoint !== undefined && at(endpoint)),
    })
  }

  async read(): Promise<{ text?: string; version: string }> {
    try {
      // The version first: a value that is read after it is never older.
      const { ETag: version = "" } = await this.client.send(
        new DescribeKeyValueStoreCommand({ KvsARN: this.arn }),
      )
      try {
        const { Value: text } = await this.client.send(new GetKeyCommand({ KvsARN: this.arn, Key: this.key }))
        return { version, ...(text !== undefined && { text }) }
      } catch (error) {
        if (error instanceof ResourceNotFoundException) return { version }
        throw error
      }
    } catch (error) {
      throw this.failure("read", error)
    }
  }

  async write(text: string, version: string): Promise<boolean> {
    try {
      await this.client.send(
        new PutKeyCommand({ KvsARN: this.arn, Key: this.key, Value: text, IfMatch: version }),
      )
      return true
    } catch (error) {
      if (error instanceof ConflictException) return false
      throw this.failure("write", error)
    }
  }

  private failure(what: string, error: unknown): Error {
    const { name = "", message = String(error) } = error instanceof Error ? error : {}
    return new Error(`cannot ${what} ${this.key} in the key-value store ${this.arn}: ${name} ${message}`, {
      cause: error,
    })
  }
}

/** The client puts the account's number before the host of an endpoint, which an address of another server does not have. */
function at(endpoint: string): Pick<CloudFrontKeyValueStoreClientConfig, "endpointProvider"> {
  const scheme = {
    name: "sigv4a",
    signingName: "cloudfront-keyvaluestore",
    signingRegion: "*",
    signingRegionSet: ["*"],
    properties: {},
  }
  return {
    endpointProvider: () => ({ url: new URL(endpoint), headers: {}, properties: { authSchemes: [scheme] } }),
  }
}
