import { readConfiguration } from "../../../src/lib/document.js"
import { type AnalysisSettings, analysisSection } from "../../../src/backends/analysis/rules.js"
import { type RolloutSettings, rolloutSection } from "../../../src/backends/rollout/configuration.js"
import type { Rollout } from "../../../src/backends/rollout/rollout.js"

const usual: RolloutSettings = readConfiguration(
  "deploy.yaml",
  `
strategy: canary
steps: [{ weight: 10, for: 6s }, { weight: 50, for: 6s }]
progressDeadline: 60s
prePromotion: 4s
postPromotion: 6s
scaleDownDelay: 5s
abortDelay: 3s
unattended: 30s
`,
  rolloutSection,
)
export const settings = (change: Partial<RolloutSettings> = {}): RolloutSettings => ({ ...usual, ...change })

export const analysis: AnalysisSettings = readConfiguration(
  "deploy.yaml",
  `
interval: 2s
noDataTimeout: 20s
rules:
  - { metric: error-rate, above: 10, for: 4s }
  - { metric: failing-pods, above: 50, for: 4s }
`,
  analysisSection,
)

export const rollout = (change: Partial<Rollout> = {}): Rollout => ({
  id: "r2",
  service: "f1-backend",
  strategy: "canary",
  kind: "deploy",
  revision: 2,
  stable: 1,
  digest: `sha256:${"b2".repeat(32)}`,
  phase: "preparing",
  step: 0,
  since: 1_000_000,
  began: 1_000_000,
  by: "ada",
  author: "grace",
  reason: "release 1.5.0",
  message: "asked for",
  controller: "ada (1)",
  ...change,
})
