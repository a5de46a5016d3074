import { cookieOf } from "./cookie.js"
import { layoutOf } from "./layout.js"
import { fileTypes } from "./manifest.js"
import type { FrontendSettings } from "./settings.js"

/** The files with the functions that the edge runs. */
export const functionFiles = {
  request: "dagger/config/frontends/viewer-request.js",
  response: "dagger/config/frontends/viewer-response.js",
}

/** Characters that CloudFront allows a function. */
export const longestFunction = 10_240

const placeholder = "const settings = {}"

/**
 * The headers that every answer has, by lower-case names. The functions add them to what they see, and a policy of the distribution to all that its origin answers: CloudFront runs
 * no function for an error of the origin, and no function for responses after the one for requests has answered.
 */
export function securityHeaders({
  api,
  images,
}: Pick<FrontendSettings, "api" | "images">): Record<string, string> {
  const backend = api === "" ? [] : [new URL(api).origin]
  const policy = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": ["'self'", "data:", ...images].join(" "),
    "font-src": "'self'",
    "connect-src": ["'self'", ...backend].join(" "),
    "manifest-src": "'self'",
    "worker-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
  }
  return {
    "content-security-policy": Object.entries(policy)
      .map(([directive, sources]) => `${directive} ${sources}`)
      .join("; "),
    "strict-transport-security": "max-age=31536000; includeSubDomains",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "strict-origin-when-cross-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
  }
}

/** What the function for requests is told. */
export function requestSettings(settings: FrontendSettings): object {
  const { app, prefix, edge, preview, previews } = settings
  const types = Object.entries(fileTypes).map(([extension, { compressed }]) => [
    extension,
    compressed ? 1 : 0,
  ])
  return {
    app,
    root: `/${layoutOf({ prefix, app }).root}`,
    store: edge.kind === "key-value-store",
    cookie: cookieOf(app),
    preview,
    ...domainOf(previews),
    types: Object.fromEntries(types) as Record<string, number>,
    headers: securityHeaders(settings),
  }
}

/** What the function for responses is told. */
export function responseSettings(settings: FrontendSettings): object {
  const { app, edge, previews } = settings
  return {
    app,
    store: edge.kind === "key-value-store",
    cookie: cookieOf(app),
    ...domainOf(previews),
    headers: securityHeaders(settings),
  }
}

const domainOf = ({ domain }: FrontendSettings["previews"]) =>
  domain === undefined ? {} : { previews: domain }

/**
 * The program of a function with its settings.
 *
 * @param source of the file
 * @throws Error for a file without a place for settings, and for a program that is too long
 */
export function functionText(source: string, settings: object): string {
  if (source.split(placeholder).length !== 2)
    throw new Error(`the function has not one line "${placeholder}"`)
  const text = source.replace(placeholder, () => `const settings = ${JSON.stringify(settings)}`)
  if (text.length > longestFunction)
    throw new Error(`the function has ${text.length} characters; allowed: ${longestFunction}`)
  return text
}
