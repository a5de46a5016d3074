import react from "@vitejs/plugin-react"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { compression } from "vite-plugin-compression2"
import type { Plugin, PluginOption } from "vite"
import { stylesFirst } from "./page.ts"
import { releasePlugin, type Release } from "./release.ts"
import { configDefaults, defineConfig, type ViteUserConfig } from "vitest/config"

const kit = join(import.meta.dirname, "..")

/** React changes less often than what is built with it, and so stays in browsers' caches over releases. */
const reactItself = /\/node_modules\/(react|react-dom|scheduler)\//

export interface AppConfig {
  /** Port of the development server. */
  port: number
  /** Backend that the development server sends /api to when API_UPSTREAM is not set, such as http://localhost:8000. */
  apiUpstream: string
  /** What the build says about itself in release.json. A library has none. */
  release?: Release
  /** Vite plugins beside React and compression. */
  plugins?: PluginOption[]
  /** Sources (globs) that unit tests do not count, beside generated types and the entry file. */
  coverageExclude?: string[]
  /** Modules that run before each test file, after the kit's own set-up. */
  testSetup?: string[]
}

/** The Vite and Vitest configuration of an app: one build for every environment, precompressed, 90 % covered. */
export function defineAppConfig({
  port,
  apiUpstream,
  release,
  plugins = [],
  coverageExclude = [],
  testSetup = [],
}: AppConfig): ViteUserConfig {
  const ci = Boolean(process.env.CI)
  return defineConfig({
    plugins: [
      react(),
      themeScript(),
      stylesFirst(),
      developmentRuntimeConfig(),
      ...(release ? [releasePlugin(release)] : []),
      ...plugins,
      compression({
        algorithms: ["gzip", "brotliCompress"],
        include: /\.(html|js|css|svg|json|webmanifest|txt)$/,
        threshold: 512,
        logLevel: "silent",
      }),
    ],
    // Inlined assets would be data: URLs, which the content security policy does not allow for fonts and scripts.
    build: {
      assetsInlineLimit: 0,
      sourcemap: false,
      target: "baseline-widely-available",
      rolldownOptions: { output: { codeSplitting: { groups: [{ name: "react", test: reactItself }] } } },
    },
    server: { port, strictPort: true, proxy: { "/api": process.env.API_UPSTREAM ?? apiUpstream } },
    test: {
      environment: "jsdom",
      setupFiles: [join(kit, "testing/setup.ts"), ...testSetup],
      include: ["src/**/*.test.{ts,tsx}"],
      exclude: [...configDefaults.exclude, "e2e/**"],
      restoreMocks: true,
      unstubGlobals: true,
      maxWorkers: 2,
      testTimeout: 20_000,
      hookTimeout: 20_000,
      reporters: ci ? ["default", ["junit", { outputFile: "reports/junit.xml" }]] : ["default"],
      coverage: {
        provider: "v8",
        reportsDirectory: ci ? "reports/coverage" : "coverage",
        reporter: ci ? ["text", "cobertura", "lcov"] : ["text"],
        include: ["src/**/*.{ts,tsx}"],
        exclude: [
          "src/**/*.test.{ts,tsx}",
          "src/**/*.d.ts",
          "src/main.tsx",
          "src/api/schema.ts",
          ...coverageExclude,
        ],
        thresholds: { lines: 90, branches: 90, functions: 90, statements: 90 },
      },
    },
  })
}

/** Sets the theme before the first paint: a file of its own, since the content security policy forbids inline scripts. */
function themeScript(): Plugin {
  const source = readFileSync(join(kit, "src/theme/before-paint.js"), "utf8")
  let building = false
  let reference = ""
  return {
    name: "kit:theme-script",
    configResolved(config) {
      building = config.command === "build"
    },
    configureServer(server) {
      server.middlewares.use("/theme.js", (_request, response) => {
        response.setHeader("Content-Type", "text/javascript").end(source)
      })
    },
    buildStart() {
      if (building) reference = this.emitFile({ type: "asset", name: "theme.js", source })
    },
    transformIndexHtml: {
      order: "post",
      handler(_html, context) {
        const file =
          context.bundle && reference
            ? Object.values(context.bundle).find(isThemeScript)?.fileName
            : undefined
        return [
          { tag: "script", attrs: { src: file ? `/${file}` : "/theme.js" }, injectTo: "head-prepend" },
          // What the app asks for first is on its way before the app is.
          {
            tag: "link",
            attrs: { rel: "preload", href: "/config.json", as: "fetch", crossorigin: "anonymous" },
            injectTo: "head",
          },
        ]
      },
    },
  }
}

function isThemeScript(output: { type: string; names?: string[] }): boolean {
  return output.type === "asset" && (output.names?.includes("theme.js") ?? false)
}

/** Answers /config.json where nginx would, for `vite` and `vite preview`. Flags come from FLAGS, as they do there. */
function developmentRuntimeConfig(): Plugin {
  const names = (process.env.FLAGS ?? "").split(",").filter(Boolean)
  const flags = Object.fromEntries(names.map((name) => [name, true]))
  const answer = JSON.stringify({ apiBaseUrl: "", environment: "development", version: "development", flags })
  const serve: NonNullable<Plugin["configureServer"]> &
    NonNullable<Plugin["configurePreviewServer"]> = (server: {
    middlewares: import("vite").Connect.Server
  }) => {
    server.middlewares.use("/config.json", (_request, response) => {
      response.setHeader("Content-Type", "application/json").end(answer)
    })
  }
  return { name: "kit:runtime-config", configureServer: serve, configurePreviewServer: serve }
}
