/** All images that the pipeline runs. An update bot raises the version below each comment. */
export const images = {
  // renovate: datasource=docker depName=debian
  debian: "debian:bookworm-slim",
  // renovate: datasource=docker depName=node
  node: "node:24-bookworm-slim",
  // renovate: datasource=docker depName=python
  python: "python:3.11-slim-bookworm",
  // renovate: datasource=docker depName=postgres
  postgres: "postgres:15-bookworm",
  // renovate: datasource=docker depName=redis
  redis: "redis:7.0-bookworm",
  // renovate: datasource=docker depName=rancher/k3s
  k3s: "rancher/k3s:v1.34.1-k3s1",
  // renovate: datasource=docker depName=traefik
  traefik: "traefik:v3.5.3",
  // renovate: datasource=docker depName=grafana/k6
  k6: "grafana/k6:1.3.0",
  // renovate: datasource=docker depName=quay.io/argoproj/argo-rollouts
  argoRollouts: "quay.io/argoproj/argo-rollouts:v1.8.3",
  // renovate: datasource=docker depName=ghcr.io/fluxcd/flagger
  flagger: "ghcr.io/fluxcd/flagger:1.41.0",
  // renovate: datasource=docker depName=prom/prometheus
  prometheus: "prom/prometheus:v3.5.0",
  // renovate: datasource=docker depName=registry
  registry: "registry:2",
  // renovate: datasource=docker depName=aquasec/trivy
  trivy: "aquasec/trivy:0.66.0",
  // renovate: datasource=docker depName=rhysd/actionlint
  actionlint: "rhysd/actionlint:1.7.12",
  // renovate: datasource=docker depName=ghcr.io/yannh/kubeconform
  kubeconform: "ghcr.io/yannh/kubeconform:v0.7.0",
} as const

/** Tools from package registries without a lock file of their own. */
export const tools = {
  // renovate: datasource=npm depName=snyk
  snyk: "1.1307.4",
} as const
