import {
  CopyObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  type GetObjectCommandOutput,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  S3ServiceException,
} from "@aws-sdk/client-s3"
import type { StoredObject } from "./layout.js"

/** Keys of an account of AWS, or of another store. */
export interface Credentials {
  accessKeyId: string
  secretAccessKey: string
  sessionToken?: string
}

export interface BucketOptions {
  bucket: string
  region: string
  /** Address of a store that is not Amazon's. */
  endpoint?: string | undefined
  credentials: Credentials
  /** Milliseconds that one request may take, from its first byte to its last. */
  requestTimeout?: number
  /** Tries of one request: those that fail on the way, are answered by 429 or 5xx, or take too long are repeated. */
  attempts?: number
}

/** What a store says of an object. */
export interface ObjectHead {
  size: number
  type?: string | undefined
  cache?: string | undefined
  encoding?: string | undefined
  /** SHA-256 in hexadecimal digits: what the store computed, if it did. */
  checksum?: string | undefined
  /** What was noted when it was uploaded. */
  sha256?: string | undefined
  plain?: string | undefined
  release?: string | undefined
}

/** An object in a list. */
export interface ListedObject {
  key: string
  size: number
  /** When it was written, in ms since the epoch. */
  at: number
}

/** A condition for a write: nothing of that name exists, or it is as it was read. */
export type WriteCondition = { absent: true } | { version: string }

/** A bucket of an S3 store. */
export interface Bucket {
  /** All objects whose names begin with a prefix. */
  list(prefix: string): Promise<ListedObject[]>
  head(key: string): Promise<ObjectHead | undefined>
  text(key: string): Promise<{ text: string; version: string } | undefined>
  contents(key: string): Promise<Uint8Array | undefined>
  /** @returns false when the condition does not hold */
  put(object: StoredObject, body: Uint8Array, condition?: WriteCondition): Promise<boolean>
  /** Copies an object within the bucket. */
  copy(from: string, object: StoredObject): Promise<void>
  delete(keys: string[]): Promise<void>
  /** Requests and bytes that were sent so far. */
  sent(): { requests: number; bytes: number }
}

const defaults = { requestTimeout: 30_000, attempts: 5 }
/** Most objects that S3 deletes by one request. */
const deleteBatch = 1_000

/** A bucket as the AWS SDK reaches it. */
export class S3Bucket implements Bucket {
  private readonly client: S3Client
  private bytes = 0
  private requests = 0

  constructor(private readonly options: BucketOptions) {
    const { region, endpoint, credentials, requestTimeout = defaults.requestTimeout } = options
    this.client = new S3Client({
      region,
      credentials,
      maxAttempts: options.attempts ?? defaults.attempts,
      requestHandler: { requestTimeout, connectionTimeout: requestTimeout, throwOnRequestTimeout: true },
      ...(endpoint !== undefined && {
        endpoint,
        forcePathStyle: true,
        // Other stores may not know the checksums that AWS has added.
        requestChecksumCalculation: "WHEN_REQUIRED",
        responseChecksumValidation: "WHEN_REQUIRED",
      }),
    })
    this.client.middlewareStack.add(
      (next) => (request) => {
        this.requests++
        return next(request)
      },
      // Below the retries, so that each of them counts.
      { step: "deserialize", name: "count" },
    )
  }

  sent(): { requests: number; bytes: number } {
    return { requests: this.requests, bytes: this.bytes }
  }

  async list(prefix: string): Promise<ListedObject[]> {
    const found: ListedObject[] = []
    let token: string | undefined
    do {
      const page = await this.explained(`list ${prefix}`, () =>
        this.client.send(
          new ListObjectsV2Command({
            Bucket: this.options.bucket,
            Prefix: prefix,
            ...(token !== undefined && { ContinuationToken: token }),
          }),
        ),
      )
      for (const { Key: key = "", Size: size = 0, LastModified } of page.Contents ?? [])
        found.push({ key, size, at: LastModified?.getTime() ?? Infinity })
      token = page.IsTruncated ? page.NextContinuationToken : undefined
    } while (token !== undefined)
    return found
  }

  async head(key: string): Promise<ObjectHead | undefined> {
    const found = await this.unlessMissing(`look at ${key}`, () =>
      this.client.send(
        new HeadObjectCommand({ Bucket: this.options.bucket, Key: key, ChecksumMode: "ENABLED" }),
      ),
    )
    if (!found) return undefined
    const { ContentLength, ContentType, CacheControl, ContentEncoding, ChecksumSHA256, Metadata } = found
    return {
      size: ContentLength ?? -1,
      type: ContentType,
      cache: CacheControl,
      encoding: ContentEncoding,
      checksum:
        ChecksumSHA256 === undefined ? undefined : Buffer.from(ChecksumSHA256, "base64").toString("hex"),
      sha256: Metadata?.sha256,
      plain: Metadata?.plain,
      release: Metadata?.release,
    }
  }

  async text(key: string): Promise<{ text: string; version: string } | undefined> {
    const found = await this.read(key, (body) => body.transformToString())
    return found && { text: found.content ?? "", version: found.version }
  }

  async contents(key: string): Promise<Uint8Array | undefined> {
    const found = await this.read(key, (body) => body.transformToByteArray())
    return found && (found.content ?? new Uint8Array())
  }

  private read<Content>(
    key: string,
    content: (body: NonNullable<GetObjectCommandOutput["Body"]>) => Promise<Content>,
  ): Promise<{ content: Content | undefined; version: string } | undefined> {
    return this.unlessMissing(`read ${key}`, async () => {
      const { Body, ETag } = await this.client.send(
        new GetObjectCommand({ Bucket: this.options.bucket, Key: key }),
      )
      return { content: Body && (await content(Body)), version: ETag ?? "" }
    })
  }

  async put(object: StoredObject, body: Uint8Array, condition?: WriteCondition): Promise<boolean> {
    this.bytes += body.length
    try {
      await this.client.send(
        new PutObjectCommand({
          Bucket: this.options.bucket,
          Body: body,
          ContentLength: body.length,
          ChecksumAlgorithm: "SHA256",
          ChecksumSHA256: Buffer.from(object.sha256, "hex").toString("base64"),
          ...headersOf(object),
          ...(condition && ("absent" in condition ? { IfNoneMatch: "*" } : { IfMatch: condition.version })),
        }),
      )
      return true
    } catch (error) {
      // 412: it is another; 409: somebody writes at this moment; 404: what was to be replaced is gone.
      if (condition && [404, 409, 412].includes(statusOf(error) ?? 0)) return false
      throw this.failure(`write ${object.key}`, error)
    }
  }

  async copy(from: string, object: StoredObject): Promise<void> {
    const { bucket } = this.options
    await this.explained(`copy ${from} to ${object.key}`, () =>
      this.client.send(
        new CopyObjectCommand({
          Bucket: bucket,
          CopySource: `${bucket}/${from.split("/").map(encodeURIComponent).join("/")}`,
          MetadataDirective: "REPLACE",
          ...headersOf(object),
        }),
      ),
    )
  }

  async delete(keys: string[]): Promise<void> {
    for (let at = 0; at < keys.length; at += deleteBatch) {
      const { Errors: faults = [] } = await this.explained("delete objects", () =>
        this.client.send(
          new DeleteObjectsCommand({
            Bucket: this.options.bucket,
            Delete: { Objects: keys.slice(at, at + deleteBatch).map((Key) => ({ Key })), Quiet: true },
          }),
        ),
      )
      const [fault] = faults
      if (fault)
        throw new Error(
          `${faults.length} objects were not deleted, such as ${fault.Key ?? "?"}: ${fault.Message ?? "?"}`,
        )
    }
  }

  private async unlessMissing<Value>(what: string, task: () => Promise<Value>): Promise<Value | undefined> {
    try {
      return await task()
    } catch (error) {
      if (statusOf(error) === 404) return undefined
      throw this.failure(what, error)
    }
  }

  private async explained<Value>(what: string, task: () => Promise<Value>): Promise<Value> {
    try {
      return await task()
    } catch (error) {
      throw this.failure(what, error)
    }
  }

  private failure(what: string, error: unknown): Error {
    const { name = "", message = String(error) } = error instanceof Error ? error : {}
    const status = statusOf(error)
    const where = `${this.options.endpoint ?? "Amazon S3"}, bucket ${this.options.bucket}`
    return new Error(
      `cannot ${what}: ${name} ${message}${status === undefined ? "" : ` (${status})`}; at ${where}`,
      {
        cause: error,
      },
    )
  }
}

const statusOf = (error: unknown): number | undefined =>
  error instanceof S3ServiceException ? error.$metadata.httpStatusCode : undefined

function headersOf({ key, type, cache, encoding, sha256, plain, release }: StoredObject) {
  return {
    Key: key,
    ContentType: type,
    CacheControl: cache,
    Metadata: {
      sha256,
      ...(plain !== undefined && { plain }),
      ...(release !== undefined && { release }),
    },
    ...(encoding !== undefined && { ContentEncoding: encoding }),
  }
}
