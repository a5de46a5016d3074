import { fileURLToPath } from "node:url"
import { defineConfig } from "vitest/config"
import { endToEnd } from "./scripts/suites.mjs"

const minutes = 60_000
const client = "./dagger/node_modules/@dagger.io/dagger/dist/src/index.js"
const sessionFiles = endToEnd.flatMap(({ project, file }) => (project === "session" ? [file] : []))

export default defineConfig({
  // The client is the module's dependency, pinned there; tests of the engine use that very copy.
  resolve: { alias: { "@dagger.io/dagger": fileURLToPath(new URL(client, import.meta.url)) } },
  test: {
    projects: [
      {
        extends: true,
        test: {
          name: "unit",
          include: [
            "dagger/test/**/*.test.ts",
            "engine/sdk/typescript/test/**/*.test.ts",
            "scripts/**/*.test.mjs",
          ],
          exclude: ["**/*.e2e.test.ts"],
          // As gates they share two processors with all the others.
          testTimeout: 5 * minutes,
          hookTimeout: 5 * minutes,
        },
      },
      {
        extends: true,
        test: {
          name: "engine",
          include: ["engine/test/**/*.test.ts"],
          exclude: ["**/*.e2e.test.ts"],
          testTimeout: 5 * minutes,
          hookTimeout: 5 * minutes,
        },
      },
      // These use the SDK, on the session that `daggerw run` starts them in. On a new machine they wait for their
      // images to be made, one of them from a large Go program.
      {
        extends: true,
        test: {
          name: "session",
          include: sessionFiles,
          testTimeout: 45 * minutes,
          hookTimeout: 45 * minutes,
        },
      },
      // These run daggerw, as people do.
      {
        extends: true,
        test: {
          name: "command",
          include: ["engine/test/**/*.e2e.test.ts", "dagger/test/e2e/**/*.e2e.test.ts"],
          exclude: [...sessionFiles, "**/node_modules/**"],
          testTimeout: 45 * minutes,
          hookTimeout: 45 * minutes,
        },
      },
    ],
  },
})
