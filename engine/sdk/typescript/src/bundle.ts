import { readFile } from "node:fs/promises"
import { dirname } from "node:path"
import { pathToFileURL } from "node:url"
import { build, type BuildOptions, type Plugin } from "esbuild"

export interface Sources {
  src: string
  /** Relative to `src`. */
  files: string[]
  tsconfig: string
  /** The folder that contains the module's node_modules. */
  packages: string
}

/** Bundles the module's own files into one. Node loads packages from node_modules. */
export async function bundle({ src, files, tsconfig, packages }: Sources, output: string): Promise<void> {
  // The SDK knows a class by its name, in the decorators too.
  const options: BuildOptions = {
    tsconfig,
    platform: "node",
    format: "esm",
    target: "node24",
    keepNames: true,
  }
  await build({
    ...options,
    stdin: { contents: files.map((file) => `export * from "./${file}"`).join("\n"), resolveDir: src },
    outfile: output,
    bundle: true,
    sourcemap: "linked",
    sourcesContent: false,
    plugins: [inPlace(options), packagesFrom(packages)],
  })
}

/** Keeps `import.meta` of a file: in the bundle it would name the bundle. */
function inPlace(options: BuildOptions): Plugin {
  return {
    name: "in-place",
    setup(bundling) {
      bundling.onLoad({ filter: /\.m?ts$/ }, async ({ path }) => {
        const text = await readFile(path, "utf8")
        if (!text.includes("import.meta")) return { contents: text, loader: "ts" }
        const { outputFiles } = await build({
          ...options,
          entryPoints: [path],
          absWorkingDir: dirname(path), // to which its source map is relative
          write: false,
          logLevel: "silent",
          sourcemap: "inline",
          define: {
            "import.meta.url": JSON.stringify(pathToFileURL(path)),
            "import.meta.filename": JSON.stringify(path),
            "import.meta.dirname": JSON.stringify(dirname(path)),
          },
        })
        return { contents: outputFiles[0]!.text, loader: "js" }
      })
    },
  }
}

const CLIENT = /^@dagger\.io\/dagger($|\/)/

/** Leaves imports of packages to Node. Fails for a package that is not installed. */
function packagesFrom(folder: string): Plugin {
  return {
    name: "packages",
    setup(bundling) {
      bundling.onResolve({ filter: /^[^./]/ }, async ({ path, pluginData, ...place }) => {
        if (pluginData === folder) return undefined
        if (CLIENT.test(path)) return { path, external: true }
        const resolveFrom = (resolveDir: string) =>
          bundling.resolve(path, { ...place, resolveDir, pluginData: folder })
        // An alias of tsconfig.json or package.json, or a module of Node's own.
        const own = await resolveFrom(place.resolveDir)
        if (own.errors.length === 0) return own
        const found = await resolveFrom(folder)
        // A dynamic import may be of an optional package.
        if (found.errors.length > 0 && place.kind === "import-statement")
          return { errors: [{ text: `"${path}" is neither a file of the module nor an installed package` }] }
        return { path, external: true }
      })
    },
  }
}
