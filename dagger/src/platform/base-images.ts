/**
 * All images that the pipeline runs, pinned by digest. An update bot raises the version below each comment.
 *
 * The local engine makes images of its own under these tags, and ignores the digests of those that it makes.
 */
export const images = {
  // renovate: datasource=docker depName=debian
  debian: "debian:bookworm-slim@sha256:96e378d7e6531ac9a15ad505478fcc2e69f371b10f5cdf87857c4b8188404716",
  // renovate: datasource=docker depName=node
  node: "node:24-bookworm-slim@sha256:6f7b03f7c2c8e2e784dcf9295400527b9b1270fd37b7e9a7285cf83b6951452d",
  // renovate: datasource=docker depName=python
  python: "python:3.11-slim-bookworm@sha256:a36c24f9cbdf4fd0f52d67f0823eeac19c2028c637cecc392d97f980d4fec56b",
  // renovate: datasource=docker depName=postgres
  postgres: "postgres:15-bookworm@sha256:539ceaaae49b3a7c8a04467cf00cc6788d8e3f1675df41860d86eebc4c40524f",
  // renovate: datasource=docker depName=redis
  redis: "redis:7.0-bookworm@sha256:ba8af28227224b9a73b59aa7df25b09781b8d6b23b72adcc4c58fb9019d81fa2",
  // renovate: datasource=docker depName=rancher/k3s
  k3s: "rancher/k3s:v1.34.1-k3s1@sha256:5e0707cfd1239b358ef73f3254bc3eadc027dd30cd5ec6ca41e29e47652a1b8c",
  // renovate: datasource=docker depName=traefik
  traefik: "traefik:v3.5.3@sha256:d6be8725d21b45bdd84b93ea01438256e0e3c94aa8fa51834fe87f37cd5d4af8",
  // renovate: datasource=docker depName=grafana/k6
  k6: "grafana/k6:1.3.0@sha256:3ddc8b1a33a2c3d8edc6e99b6a762ae36cba08788463458f5e6a7703e14eb77d",
  // The peers are by tag: they run in rehearsals only, on a throw-away cluster.
  // renovate: datasource=docker depName=quay.io/argoproj/argo-rollouts
  argoRollouts: "quay.io/argoproj/argo-rollouts:v1.8.3",
  // renovate: datasource=docker depName=ghcr.io/fluxcd/flagger
  flagger: "ghcr.io/fluxcd/flagger:1.41.0",
  // renovate: datasource=docker depName=prom/prometheus
  prometheus:
    "prom/prometheus:v3.5.0@sha256:63805ebb8d2b3920190daf1cb14a60871b16fd38bed42b857a3182bc621f4996",
  // renovate: datasource=docker depName=registry
  registry: "registry:2@sha256:a3d8aaa63ed8681a604f1dea0aa03f100d5895b6a58ace528858a7b332415373",
  // renovate: datasource=docker depName=aquasec/trivy
  trivy: "aquasec/trivy:0.66.0@sha256:086971aaf400beebd94e8300fd8ea623774419597169156cec56eec5b00dfb1e",
  // renovate: datasource=docker depName=rhysd/actionlint
  actionlint:
    "rhysd/actionlint:1.7.12@sha256:b1934ee5f1c509618f2508e6eb47ee0d3520686341fec936f3b79331f9315667",
  // renovate: datasource=docker depName=ghcr.io/yannh/kubeconform
  kubeconform:
    "ghcr.io/yannh/kubeconform:v0.7.0@sha256:85dbef6b4b312b99133decc9c6fc9495e9fc5f92293d4ff3b7e1b30f5611823c",
} as const

/** Tools from package registries without a lock file of their own. */
export const tools = {
  // renovate: datasource=npm depName=snyk
  snyk: "1.1307.4",
} as const
