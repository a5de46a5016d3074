import { ArgoRollout } from "./argo.js"
import { FlaggerCanary } from "./flagger.js"
import { KubectlRollout } from "./kubectl.js"
import type { PeerContext, Peer } from "./peer.js"

/** The tools that a rehearsal can be compared with. */
const peers = {
  kubectl: (context: PeerContext) => KubectlRollout.start(context),
  "argo-rollouts": (context: PeerContext) => ArgoRollout.start(context),
  flagger: (context: PeerContext) => FlaggerCanary.start(context),
}

export type PeerName = keyof typeof peers

export const peerNames = Object.keys(peers) as PeerName[]

/** @throws Error for an unknown name */
export function peerOf(name: string): PeerName {
  const known = peerNames.find((one) => one === name)
  if (!known) throw new Error(`there is no peer "${name}"; allowed: ${peerNames.join(", ")}`)
  return known
}

/** Deploys the first revision of a service by a peer. */
export const startPeer = (name: PeerName, context: PeerContext): Promise<Peer> => peers[name](context)
