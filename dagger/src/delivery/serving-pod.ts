/** A pod that serves, or is about to. */
export interface ServingPod {
  name: string
  /** Another one for each pod, also under a name that was there before. */
  uid: string
  /** Name and port, for requests by way of the API server. */
  address: string
  ready: boolean
  /** How often the service's container was restarted. */
  restarts: number
}
