import { dag } from "@dagger.io/dagger"
import { images } from "../platform/base-images.js"
import type { PeerName } from "./peers/index.js"

/** Images of the cluster and the stores beside it. */
export const environmentImages = [
  images.registry,
  images.k3s,
  images.traefik,
  images.postgres,
  images.redis,
] as const

/** The image of the load generator. */
export const loadImages = [images.k6] as const

/** Further images that a peer needs. */
export const peerImages: Record<PeerName, readonly string[]> = {
  kubectl: [],
  "argo-rollouts": [images.argoRollouts, images.prometheus],
  flagger: [images.flagger, images.prometheus],
}

/**
 * Pulls or builds images, so that no time limit of a rehearsal includes it: on a new machine the engine may build some of them for half an hour.
 *
 * @param say receives a line per image
 * @param pull replaced in tests
 */
export async function prepareImages(
  names: readonly string[],
  say: (line: string) => void,
  pull: (name: string) => Promise<unknown> = (name) => dag.container().from(name).sync(),
): Promise<void> {
  const unique = [...new Set(names)]
  // One after another: builds of large programs do not fit into memory side by side.
  for (const [index, name] of unique.entries()) {
    say(`Preparing image ${index + 1} of ${unique.length}: ${name}`)
    await pull(name)
  }
}
