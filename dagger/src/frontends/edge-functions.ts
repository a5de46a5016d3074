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

/** What the function for requests is told. */
export function requestSettings({ app, prefix, edge, preview, previews }: FrontendSettings): object {
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
  }
}

/** What the function for responses is told. */
export function responseSettings({ app, api, images, edge, previews }: FrontendSettings): object {
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
    app,
    store: edge.kind === "key-value-store",
    cookie: cookieOf(app),
    ...domainOf(previews),
    headers: {
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
    },
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
