import { type Catalog, readCatalog, type Recipes } from "../../src/platform/catalog.js"

/**
 * A catalog with the limits of every test.
 *
 * @param services the entries below `services`, a line each
 */
export const catalogWith = (services: string[], recipes: Record<string, Recipes>): Catalog =>
  readCatalog(
    `defaults:
  coverage: { lines: 80, branches: 80 }
  load: { p95: 2000, errorRate: 1 }
  limits: { tool: 300, test: 900, ready: 120 }
services:
${services.map((line) => `  ${line}\n`).join("")}`,
    recipes,
  )
