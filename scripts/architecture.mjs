// Draws which folder of the module imports which, as docs/architecture.md shows it.
//
//   node scripts/architecture.mjs           fails when the drawing is not that of the code
//   node scripts/architecture.mjs --write   draws it anew
import { spawnSync } from "node:child_process"
import { readFileSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("..", import.meta.url))
const page = fileURLToPath(new URL("../docs/architecture.md", import.meta.url))
const block = /```mermaid\n[\s\S]*?```/

const { status, stdout, stderr } = spawnSync(
  "npx",
  [
    "depcruise",
    "--config",
    ".dependency-cruiser.mjs",
    "--include-only",
    "^dagger/src/",
    "--output-type",
    "json",
    "dagger/src",
  ],
  { cwd: root, encoding: "utf8", maxBuffer: 64 << 20 },
)
if (stdout === "") throw new Error(`dependency-cruiser did not run (exit code ${status}): ${stderr}`)
const { modules } = /** @type {{ modules: { source: string, dependencies: { resolved: string }[] }[] }} */ (
  JSON.parse(stdout)
)

/** @param {string} path */
const folderOf = (path) => /^dagger\/src\/([^/.]+)\//.exec(path)?.[1] ?? "index.ts"

const edges = modules.flatMap(({ source, dependencies }) =>
  dependencies.map(({ resolved }) => [folderOf(source), folderOf(resolved)]),
)
const arrows = new Set(edges.filter(([from, to]) => from !== to).map(([from, to]) => `  ${from} --> ${to}`))
const drawing = ["```mermaid", "flowchart TD", ...[...arrows].sort(), "```"].join("\n")

const text = readFileSync(page, "utf8")
if (process.argv.includes("--write")) {
  writeFileSync(page, text.replace(block, drawing))
} else if (block.exec(text)?.[0] !== drawing) {
  console.error(
    "docs/architecture.md does not show the imports as they are: node scripts/architecture.mjs --write",
  )
  process.exitCode = 1
}
