// node sizes.ts DIST [FILE]: writes the sizes of a build to FILE, size.json by default, and prints their sums.
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"

/** Bytes that a browser downloads of each file, compressed where the build has a brotli copy, by name without its hash. */
export interface Sizes {
  /** Scripts and styles that index.html names: what every first visit waits for. */
  start: Record<string, number>
  rest: Record<string, number>
}

/**
 * Measures a build.
 *
 * @throws Error when it has no index.html, or one that names no script
 */
export function sizesOf(dist: string): Sizes {
  const html = readFileSync(join(dist, "index.html"), "utf8")
  const named = [...html.matchAll(/\b(?:src|href)="\/([^"]+\.(?:js|css))"/g)].map(([, path]) => path)
  if (!named.some((path) => path?.endsWith(".js")))
    throw new Error(`${dist}/index.html names no script: it is no build of an app`)
  const paths = readdirSync(dist, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name).slice(join(dist, "/").length))
  const sizes: Sizes = { start: {}, rest: {} }
  for (const path of paths) {
    if (/\.(br|gz)$/.test(path)) continue
    const copy = `${path}.br`
    const bytes = statSync(join(dist, paths.includes(copy) ? copy : path)).size
    const name = path.replace(/-[\w-]{8}(?=\.\w+$)/, "")
    const part = named.includes(path) ? sizes.start : sizes.rest
    part[name] = (part[name] ?? 0) + bytes
  }
  return { start: sorted(sizes.start), rest: sorted(sizes.rest) }
}

const sorted = (part: Record<string, number>) => Object.fromEntries(Object.entries(part).sort())

if (process.argv[1] === import.meta.filename) {
  const [, , dist = "dist", file = "size.json"] = process.argv
  const sizes = sizesOf(dist)
  writeFileSync(file, `${JSON.stringify(sizes, null, 2)}\n`)
  const sum = (part: Record<string, number>) => Object.values(part).reduce((all, bytes) => all + bytes, 0)
  const kilobytes = (bytes: number) => `${(bytes / 1000).toFixed(1)} kB`
  const start = sum(sizes.start)
  console.log(`start page ${kilobytes(start)}, all files ${kilobytes(start + sum(sizes.rest))}`)
}
