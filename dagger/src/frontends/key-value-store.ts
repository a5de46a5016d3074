import {
  CloudFrontKeyValueStoreClient,
  type CloudFrontKeyValueStoreClientConfig,
  ConflictException,
  DeleteKeyCommand,
  DescribeKeyValueStoreCommand,
  GetKeyCommand,
  ListKeysCommand,
  PutKeyCommand,
  ResourceNotFoundException,
} from "@aws-sdk/client-cloudfront-keyvaluestore"
// The client signs for all regions at once, and finds this by being imported.
import "@aws-sdk/signature-v4a"
import type { Credentials } from "./bucket.js"
import type { PointerStore } from "./pointer.js"
import type { PreviewStore } from "./preview.js"

const attempts = 5
/** Most keys that the store lists by one request. */
const page = 50

/** CloudFront's KeyValueStore: a change reaches the edge within seconds, and nothing has to be invalidated. Its version is that of all values together. */
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

  read(): Promise<{ text?: string; version: string }> {
    return this.explained(`read ${this.key}`, async () => {
      const version = await this.version()
      try {
        const { Value: text } = await this.client.send(new GetKeyCommand({ KvsARN: this.arn, Key: this.key }))
        return { version, ...(text !== undefined && { text }) }
      } catch (error) {
        if (error instanceof ResourceNotFoundException) return { version }
        throw error
      }
    })
  }

  write(text: string, version: string): Promise<boolean> {
    return this.put(this.key, text, version)
  }

  /** The previews of the app: keys of its name and theirs, with a dot in between, which no app has in its name. */
  previews(): PreviewStore {
    const prefix = `${this.key}.`
    return {
      readAll: () =>
        this.explained(`list the previews of ${this.key}`, async () => {
          const version = await this.version()
          const all = await this.list()
          const own = all.filter(([key]) => key.startsWith(prefix))
          return { version, values: new Map(own.map(([key, value]) => [key.slice(prefix.length), value])) }
        }),
      write: (name, text, version) => this.put(prefix + name, text, version),
      remove: (name, version) => {
        const request = { KvsARN: this.arn, Key: prefix + name, IfMatch: version }
        return this.changed(`remove ${prefix}${name}`, () => this.client.send(new DeleteKeyCommand(request)))
      },
    }
  }

  /** Read before any value: one that is read after it is never older. */
  private async version(): Promise<string> {
    const { ETag: version = "" } = await this.client.send(
      new DescribeKeyValueStoreCommand({ KvsARN: this.arn }),
    )
    return version
  }

  private async list(): Promise<[key: string, value: string][]> {
    const found: [string, string][] = []
    let token: string | undefined
    do {
      const { Items = [], NextToken } = await this.client.send(
        new ListKeysCommand({
          KvsARN: this.arn,
          MaxResults: page,
          ...(token !== undefined && { NextToken: token }),
        }),
      )
      for (const { Key: key = "", Value: value = "" } of Items) found.push([key, value])
      token = NextToken
    } while (token !== undefined)
    return found
  }

  private put(key: string, text: string, version: string): Promise<boolean> {
    const request = { KvsARN: this.arn, Key: key, Value: text, IfMatch: version }
    return this.changed(`write ${key}`, () => this.client.send(new PutKeyCommand(request)))
  }

  /** @returns false when the store has changed since the version was read that the change names */
  private changed(what: string, change: () => Promise<unknown>): Promise<boolean> {
    return this.explained(what, async () => {
      try {
        await change()
        return true
      } catch (error) {
        if (error instanceof ConflictException) return false
        throw error
      }
    })
  }

  private async explained<Value>(what: string, task: () => Promise<Value>): Promise<Value> {
    try {
      return await task()
    } catch (error) {
      const { name = "", message = String(error) } = error instanceof Error ? error : {}
      throw new Error(`cannot ${what} in the key-value store ${this.arn}: ${name} ${message}`, {
        cause: error,
      })
    }
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
