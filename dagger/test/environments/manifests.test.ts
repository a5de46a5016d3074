import { readFileSync } from "node:fs"
import { describe, expect, it } from "vitest"
import { parseAllDocuments } from "yaml"
import { readDeploy } from "../../src/environments/configuration.js"
import { manifestsOf } from "../../src/environments/manifests.js"

const text = readFileSync(new URL("../../config/deploy.yaml", import.meta.url), "utf8")
const files = manifestsOf(readDeploy(text), "pass")
const kinds = (file: string) =>
  parseAllDocuments(files[file] ?? "").map((document) => (document.toJS() as { kind: string }).kind)

describe("manifestsOf", () => {
  it("has the backends and the access of every environment", () => {
    expect(Object.keys(files).sort()).toEqual(
      ["staging", "production"]
        .flatMap((name) => [`${name}-access.yaml`, `${name}-api.yaml`, `${name}-f1-backend.yaml`])
        .sort(),
    )
  })

  it("has the migration of a database that is configured, and its account", () => {
    const layer = `services: { api: { database: { name: recipes, backup: { kind: postgres, bucket: backups } } } }`
    const all = manifestsOf(readDeploy(text, { file: "settings.yaml", text: layer }), "pass")
    const migration = parseAllDocuments(all["production-recipes.yaml"] ?? "").map(
      (document) => (document.toJS() as { kind: string }).kind,
    )
    expect(migration).toEqual(["NetworkPolicy", "Job", "ConfigMap", "Secret"])
    expect(all["production-access.yaml"]).toContain("name: pitwall-database-recipes")
  })

  it("has every object of a rollout, its baseline and its route", () => {
    expect([...new Set(kinds("production-api.yaml"))].sort()).toEqual([
      "ConfigMap",
      "Deployment",
      "HTTPRoute",
      "HorizontalPodAutoscaler",
      "NetworkPolicy",
      "PodDisruptionBudget",
      "Secret",
      "Service",
      "ServiceAccount",
    ])
    expect(kinds("staging-access.yaml")).toEqual(expect.arrayContaining(["Namespace", "Role", "RoleBinding"]))
  })
})
