/** Every image that the pipeline runs in, named once. An update bot bumps what stands under its comment. */
export const images = {
  // renovate: datasource=docker depName=debian
  debian: "debian:bookworm-slim",
  // renovate: datasource=docker depName=node
  node: "node:24-bookworm-slim",
} as const
