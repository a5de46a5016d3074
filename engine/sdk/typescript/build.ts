import { cp, glob, readFile, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { build, type BuildOptions, type Plugin } from "esbuild"

/** Builds `client`, the library that modules import, and `tools`, which bundle and scan modules. */
const out = process.argv[2]!
const client = join(out, "client")
const tools = join(out, "tools")

const common: BuildOptions = {
  bundle: true,
  splitting: true,
  platform: "node",
  format: "esm",
  target: "node24",
  keepNames: true,
  outExtension: { ".js": ".mjs" },
  // Prefers ES modules, of which unused code is left out.
  mainFields: ["module", "main"],
  // Packages in CommonJS load Node's modules with require.
  banner: {
    js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url)',
  },
}

const withoutScan: Plugin = {
  name: "without-scan",
  setup({ onResolve }) {
    onResolve({ filter: /\/introspector\/index\.js$/ }, ({ importer }) =>
      importer.endsWith("/entrypoint.js")
        ? { path: join(import.meta.dirname, "src/introspector.ts") }
        : undefined,
    )
  },
}

await build({
  ...common,
  entryPoints: ["src/client.ts", "src/call.ts", "src/register.ts"],
  outdir: client,
  alias: { typescript: "./src/no-typescript.ts", "@opentelemetry/sdk-node": "./src/telemetry.ts" },
  plugins: [withoutScan],
})
await writeFile(
  join(client, "package.json"),
  JSON.stringify({
    name: "@dagger.io/dagger",
    type: "module",
    types: "./dist/src/index.d.ts",
    exports: { ".": "./client.mjs", "./telemetry": "./client.mjs" },
  }),
)

const packages = ["esbuild", "@esbuild", "typescript"]
await build({ ...common, entryPoints: ["src/prepare.ts", "src/scan.ts"], outdir: tools, external: packages })
for (const name of packages)
  await cp(join("node_modules", name), join(tools, "node_modules", name), { recursive: true })

// The scan reads the client's declarations, the generated ones from a file that must not be a declaration file.
const dist = "node_modules/@dagger.io/dagger/dist"
for await (const file of glob("**/*.d.ts", { cwd: dist }))
  await cp(join(dist, file), join(client, "dist", file.replace(/client\.gen\.d\.ts$/, "client.gen.ts")))

// The scan looks up no type of a browser, and their declarations are as long as all others together.
for (const name of ["dom", "dom.iterable", "dom.asynciterable", "scripthost", "webworker.importscripts"])
  await writeFile(join(tools, `node_modules/typescript/lib/lib.${name}.d.ts`), "")

// Comments would take half of the scan's time.
const docComments = /^\s*\/\*\*[^]*?\*\/\n/gm
for await (const file of glob([
  join(tools, "node_modules/typescript/lib/lib.*.d.ts"),
  join(client, "dist/**/*.ts"),
]))
  await writeFile(file, (await readFile(file, "utf8")).replace(docComments, ""))
