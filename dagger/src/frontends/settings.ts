import { z } from "zod"
import { bucketName, regionName } from "../lib/cloud-names.js"
import { section } from "../lib/document.js"
import { configuredDuration } from "../lib/duration.js"
import { auditSection } from "./audit.js"
import { idOf } from "./manifest.js"
import type { Configuration } from "./publish.js"
import { visitsSection } from "./visits.js"

const origin = /^https?:\/\/([A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\])(:[0-9]+)?$/
const address = z.string().regex(origin, "an address without a path, such as https://app.example.com")
const endpoint = z.string().regex(origin, "an address without a path, such as https://s3.example.com")

const edge = z.discriminatedUnion(
  "kind",
  [
    section({
      kind: z.literal("key-value-store"),
      store: z
        .string()
        .regex(
          /^arn:aws[a-z-]*:cloudfront::[0-9]{12}:key-value-store\/[0-9a-f-]{36}$/,
          "the ARN of a key-value store, such as arn:aws:cloudfront::123456789012:key-value-store/7c5a…",
        ),
      endpoint: endpoint.optional(),
    }),
    section({
      kind: z.literal("invalidate"),
      distribution: z.string().regex(/^[A-Z0-9]{8,20}$/, "the id of a distribution, such as E2QWRUHAPOMQZL"),
      endpoint: endpoint.optional(),
    }),
  ],
  { error: "the kind of edge; allowed: key-value-store, invalidate" },
)

const canaryStep = section({
  percent: z.int().min(1).max(99),
  for: configuredDuration.refine((seconds) => seconds >= 5, "5s or longer"),
})

const hostname = z.string().regex(/^[a-z0-9-]+(\.[a-z0-9-]+)+$/, "a host name, such as app.example.com")

/** Seconds. */
const previewTimes = { least: 3_600, most: 90 * 86_400 }

/** Flags of an environment by name. */
export const flagsSection = z
  .record(
    z.string().regex(/^[a-z][A-Za-z0-9]{0,63}$/, "the name of a flag, such as newSearch"),
    z.boolean({ error: "true or false" }),
  )
  .default({})

/** A web app of an environment; see `dagger/config/deploy.yaml`. */
export const frontendSection = section({
  hostnames: z.array(hostname).min(1),
  address: address.optional(),
  bucket: bucketName,
  prefix: z
    .string()
    .regex(/^[A-Za-z0-9_-]+(\/[A-Za-z0-9_-]+)*$/, "a path such as apps/staging, without a slash at its ends")
    .optional(),
  region: regionName,
  endpoint: endpoint.optional(),
  edge,
  api: z
    .string()
    .regex(
      /^(https?:\/\/[A-Za-z0-9.:[\]-]+(\/[A-Za-z0-9._~/-]*[A-Za-z0-9._~-])?)?$/,
      'where pages call the backend: "" (their own address), or an absolute URL without a slash at the end',
    )
    .default(""),
  images: z
    .array(
      z.string().regex(/^[A-Za-z0-9.:/*-]+$/, "a source as in a content security policy, such as https:"),
    )
    .default([]),
  flags: flagsSection,
  keep: section({
    releases: z.int().min(2).max(50).default(5),
    days: z.int().min(1).max(3650).default(7),
  }).prefault({}),
  canary: z.array(canaryStep).max(10).default([]),
  visits: visitsSection.optional(),
  preview: z.boolean().default(false),
  previews: section({
    domain: hostname.optional(),
    expires: configuredDuration
      .refine(
        (seconds) => seconds >= previewTimes.least && seconds <= previewTimes.most,
        "from 1h to 2160h, which are 90 days",
      )
      .prefault("168h"),
  }).prefault({}),
  audit: auditSection.optional(),
}).superRefine(
  ({ audit, canary, edge: { kind }, hostnames, preview, previews: { domain }, visits }, context) => {
    if (domain !== undefined && (kind === "invalidate" || !preview)) {
      context.addIssue({
        code: "custom",
        path: ["previews", "domain"],
        message: "only with edge.kind key-value-store and preview: true: without them, there are no previews",
      })
    }
    const within = hostnames.find((one) => one === domain || one.endsWith(`.${domain ?? ""}`))
    if (domain !== undefined && within !== undefined) {
      context.addIssue({
        code: "custom",
        path: ["previews", "domain"],
        message: `a domain of previews alone, such as preview.example.com: visitors of ${within} would ask for a preview`,
      })
    }
    if (audit && (kind === "invalidate" || !preview)) {
      context.addIssue({
        code: "custom",
        path: ["audit"],
        message:
          "only with edge.kind key-value-store and preview: true: it looks at a release that is not live",
      })
    }
    if (visits && canary.length === 0) {
      context.addIssue({
        code: "custom",
        path: ["visits"],
        message:
          "only with canary: what browsers tell is looked at while a part of the visitors has the release",
      })
    }
    if (kind === "invalidate" && canary.length > 0) {
      context.addIssue({
        code: "custom",
        path: ["canary"],
        message: "only with edge.kind key-value-store: without it, all visitors get the same",
      })
    }
    for (const [at, { percent }] of canary.entries()) {
      if (percent > (canary[at - 1]?.percent ?? 0)) continue
      context.addIssue({
        code: "custom",
        path: ["canary", at, "percent"],
        message: "more than the step before",
      })
    }
  },
)

/** A web app in one environment. */
export type FrontendSettings = z.output<typeof frontendSection> & {
  /** The service whose image has its files. */
  app: string
  environment: string
  namespace: string
}

/** Where visitors find the app. */
export const addressOf = ({ address: given, hostnames }: FrontendSettings): string =>
  given ?? `https://${hostnames[0] ?? ""}`

const previewHeader = "x-preview-release"

/** Makes the edge answer with a release and a configuration that need not be live, where previews are on. */
export const previewHeaders = (release: string, config: string): Record<string, string> => ({
  [previewHeader]: `${release}.${config}`,
})

/** Makes the edge answer with the preview of a name. */
export const namedPreviewHeaders = (name: string): Record<string, string> => ({ [previewHeader]: name })

/** Where the preview of a name is: for a browser, where previews have a domain, and for who can send a header. */
export function previewAddress(settings: FrontendSettings, name: string): { url?: string; curl: string } {
  const { domain } = settings.previews
  return {
    ...(domain !== undefined && { url: `https://${name}.${domain}` }),
    curl: `curl --header '${previewHeader}: ${name}' --header 'accept: text/html' ${addressOf(settings)}/`,
  }
}

/** What browsers get as `/config.json`. It holds no secret. */
export function configurationOf(
  { api, environment, flags }: FrontendSettings,
  version: string,
): Configuration {
  const values = {
    apiBaseUrl: api,
    environment,
    version,
    flags: Object.fromEntries(Object.entries(flags).sort(([one], [other]) => (one < other ? -1 : 1))),
  }
  // Of the whole text: what is stored under an id never changes.
  const id = idOf({ ...values, id: "" })
  return { id, text: `${JSON.stringify({ ...values, id }, undefined, 2)}\n` }
}

/**
 * A flag that is on and that the build does not know would silently do nothing.
 *
 * @param known names of the flags of the build
 * @throws Error for such a flag
 */
export function refuseUnknownFlags({ app, environment, flags }: FrontendSettings, known: string[]): void {
  const unknown = Object.entries(flags).flatMap(([name, on]) => (on && !known.includes(name) ? [name] : []))
  if (unknown.length === 0) return
  throw new Error(
    `environments.${environment}.frontends.${app}.flags turns on ${unknown.join(", ")}, which this build does not know; allowed: ${known.join(", ") || "none"}`,
  )
}
