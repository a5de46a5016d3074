// A CloudFront Function (runtime 2.0) for viewer responses: security headers, the release, and the cookie that keeps a visitor with theirs. It keeps to the syntax of njs 0.7.9.
import cf from "cloudfront"

const settings = {}

// A number that leads to what the visitor got: below the share of the canary, or not.
async function drawn(release) {
  try {
    const text = await cf.kvs().get(settings.app)
    const pointer = JSON.parse(text)
    const canary = pointer.canary
    if (!canary) return undefined
    const percent = canary.percent
    // Only the configuration differs: the page does not say which the visitor got.
    if (pointer.live.release === canary.release) return Math.floor(Math.random() * 100)
    return release === canary.release
      ? Math.floor(Math.random() * percent)
      : percent + Math.floor(Math.random() * (100 - percent))
  } catch (error) {
    console.log("the key-value store does not say whether there is a canary: " + error)
    return undefined
  }
}

async function handler(event) {
  const response = event.response
  const headers = response.headers
  const release = headers["x-amz-meta-release"] ? headers["x-amz-meta-release"].value : undefined
  const names = Object.keys(headers)
  for (let at = 0; at < names.length; at++) {
    if (names[at].indexOf("x-amz-") === 0 || names[at] === "server") delete headers[names[at]]
  }
  const own = Object.keys(settings.headers)
  for (let at = 0; at < own.length; at++) headers[own[at]] = { value: settings.headers[own[at]] }
  headers.vary = { value: "Accept-Encoding" }
  const host = event.request.headers.host ? event.request.headers.host.value.split(":")[0].toLowerCase() : ""
  const suffix = "." + settings.previews
  const hasPreviewName = settings.previews !== undefined && host.slice(-suffix.length) === suffix
  if (hasPreviewName) headers["x-robots-tag"] = { value: "noindex" }
  if (release === undefined) return response
  headers["x-release"] = { value: release }
  const type = headers["content-type"] ? headers["content-type"].value : ""
  // Pages read it, and tell of which release they are; they cannot read other headers of their own. Who looks at a preview, such as an audit, is no visitor.
  const isPreview =
    hasPreviewName || event.request.headers["x-preview-release"] !== undefined || /^[0-9a-f]{40}\./.test(host)
  if (!isPreview && type.indexOf("text/html") === 0)
    headers["server-timing"] = { value: 'release;desc="' + release + '"' }
  if (!settings.store || type.indexOf("text/html") !== 0 || event.request.cookies[settings.cookie])
    return response
  const number = await drawn(release)
  if (number === undefined) return response
  response.cookies = response.cookies || {}
  response.cookies[settings.cookie] = {
    value: String(number),
    attributes: "Path=/; Max-Age=86400; Secure; HttpOnly; SameSite=Lax",
  }
  return response
}
