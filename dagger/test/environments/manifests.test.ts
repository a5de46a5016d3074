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
