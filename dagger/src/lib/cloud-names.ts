import { z } from "zod"

/** The name of an S3 bucket. */
export const bucketName = z
  .string()
  .regex(
    /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/,
    "the name of a bucket: 3 to 63 lower-case letters, digits, . and -",
  )

/** A region of a cloud. */
export const regionName = z.string().regex(/^[a-z0-9-]{1,40}$/, "a region such as eu-central-1")
