import { ArgoRollout } from "./argo.js"
import { FlaggerCanary } from "./flagger.js"
import { KubectlRollout } from "./kubectl.js"
import type { Ground, Peer } from "./peer.js"

/** What a rehearsal can be compared with. */
const peers = {
  kubectl: (ground: Ground) => KubectlRollout.begin(ground),
  "argo-rollouts": (ground: Ground) => ArgoRollout.begin(ground),
  flagger: (ground: Ground) => FlaggerCanary.begin(ground),
}

export type PeerName = keyof typeof peers

export const peerNames = Object.keys(peers) as PeerName[]

/** @throws Error for a name that is none */
export function peerOf(name: string): PeerName {
  const known = peerNames.find((one) => one === name)
  if (!known) throw new Error(`"${name}" is not compared with; allowed: ${peerNames.join(", ")}`)
  return known
}

/** Brings the first revision of a service to all traffic by a peer. */
export const begin = (name: PeerName, ground: Ground): Promise<Peer> => peers[name](ground)
