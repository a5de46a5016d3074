// A CloudFront Function (runtime 2.0) for viewer requests: finds the object of the bucket that a request is answered with. It keeps to the syntax of njs 0.7.9.
import cf from "cloudfront"

const settings = {}

const kept = /^[0-9a-f]{40}$/

// An answer without the bucket. The function for responses does not see it.
function answer(status, description) {
  const headers = {
    "content-type": { value: "text/plain; charset=utf-8" },
    "cache-control": { value: "no-store" },
  }
  const own = Object.keys(settings.headers)
  for (let at = 0; at < own.length; at++) headers[own[at]] = { value: settings.headers[own[at]] }
  return {
    statusCode: status,
    statusDescription: description,
    headers: headers,
    body: description + "\n",
  }
}

function header(request, name) {
  const found = request.headers[name]
  return found ? found.value : undefined
}

function accepts(request, encoding) {
  const parts = (header(request, "accept-encoding") || "").toLowerCase().split(",")
  for (let at = 0; at < parts.length; at++) {
    const words = parts[at].split(";")
    if (words[0].trim() !== encoding) continue
    const quality = words[1] ? /^\s*q=([0-9.]+)\s*$/.exec(words[1]) : null
    return quality === null || parseFloat(quality[1]) > 0
  }
  return false
}

// The file that a request is for, relative to the site; nothing for one that no release has.
function fileOf(request) {
  const path = request.uri.slice(1)
  if (/\/\.|\/\/|%2e|%2f|%5c|\\|\.(br|gz)$/i.test(request.uri)) return undefined
  if (path === "") return "index.html"
  const last = path.split("/").pop()
  const extension = /\.([^.]+)$/.exec(last)
  if (extension && settings.types[extension[1].toLowerCase()] !== undefined) return path
  if (path.indexOf("assets/") === 0) return undefined
  // Everything else is an address within the app: a page, but no answer for a program that wants something else.
  const accept = header(request, "accept") || "*/*"
  if (accept.indexOf("text/html") >= 0) return "index.html"
  return !extension && accept.indexOf("*/*") >= 0 ? "index.html" : undefined
}

// A visitor stays with what they got first, as long as the share of the canary does not grow past them.
function chosen(pointer, request) {
  const canary = pointer.canary
  if (!canary) return pointer.live
  const cookie = request.cookies[settings.cookie]
  const drawn = cookie ? parseInt(cookie.value, 10) : Math.floor(Math.random() * 100)
  return drawn < canary.percent ? canary : pointer.live
}

// The preview that a request names: a release by its id, alone or with a configuration, or the name of one that was published.
function previewed(request) {
  if (!settings.store || !settings.preview) return undefined
  const host = (header(request, "host") || "").split(":")[0].toLowerCase()
  const suffix = "." + settings.previews
  const isOwn = settings.previews !== undefined && host.slice(-suffix.length) === suffix
  const given = header(request, "x-preview-release")
  const named = given || (isOwn ? host.slice(0, -suffix.length) : host.split(".")[0])
  const parts = named.split(".")
  if (kept.test(parts[0])) return { release: parts[0], config: parts[1] }
  return given || isOwn ? { name: named.toLowerCase() } : undefined
}

// A preview by its name; nothing for one that has expired, was removed or never was.
async function published(name) {
  try {
    const text = await cf.kvs().get(settings.app + "." + name)
    const found = JSON.parse(text)
    const lasts = typeof found.until === "number" && Date.now() < found.until
    return lasts && kept.test(found.release) && kept.test(found.config)
      ? { release: found.release, config: found.config }
      : undefined
  } catch (error) {
    console.log("the key-value store has no preview " + name + ": " + error)
    return undefined
  }
}

// What the request gets; nothing when the store fails: then the copies of what was live last are served.
async function variantOf(request, preview) {
  if (!settings.store) return undefined
  // It names all that it needs: nothing has to be live.
  if (preview !== undefined && kept.test(preview.config)) return preview
  try {
    const text = await cf.kvs().get(settings.app)
    const pointer = JSON.parse(text)
    const variant = chosen(pointer, request)
    const release = preview === undefined ? variant.release : preview.release
    return kept.test(release) && kept.test(variant.config)
      ? { release: release, config: variant.config }
      : undefined
  } catch (error) {
    console.log("the key-value store does not say what is live: " + error)
    return undefined
  }
}

async function handler(event) {
  const request = event.request
  if (request.method !== "GET" && request.method !== "HEAD") return answer(405, "Method Not Allowed")
  let preview = previewed(request)
  if (preview !== undefined && preview.name !== undefined) {
    preview = await published(preview.name)
    if (preview === undefined) return answer(404, "No Such Preview, Or It Has Expired")
  }
  const file = fileOf(request)
  if (file === undefined) return answer(404, "Not Found")
  const extension = file.split(".").pop().toLowerCase()
  const compressed = settings.types[extension] === 1 && file !== "config.json"
  const suffix = !compressed ? "" : accepts(request, "br") ? ".br" : accepts(request, "gzip") ? ".gz" : ""
  if (file.indexOf("assets/") === 0) {
    request.uri = settings.root + file + suffix
    return request
  }
  const variant = await variantOf(request, preview)
  if (variant === undefined) request.uri = settings.root + "live/" + file + suffix
  else if (file === "config.json") request.uri = settings.root + "config/" + variant.config + ".json"
  else request.uri = settings.root + "releases/" + variant.release + "/" + file + suffix
  return request
}
