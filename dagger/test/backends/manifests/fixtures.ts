import type { V1ConfigMap, V1Deployment, V1NetworkPolicy, V1Secret, V1Service } from "@kubernetes/client-node"
import { readConfiguration } from "../../../src/lib/document.js"
import { type Workload, workloadSection } from "../../../src/backends/manifests/configuration.js"
import { type RevisionSpec, revisionObjects } from "../../../src/backends/manifests/objects.js"
import type { Manifest, Plain } from "../../../src/clients/kubernetes/manifest.js"

export const needed = `
replicas: { min: 2, max: 6 }
resources: { requests: { cpu: 250m, memory: 256Mi }, limits: { memory: 512Mi } }
`

export const full = `
replicas: { min: 2, max: 6, cpu: 60 }
resources: { requests: { cpu: 250m, memory: 256Mi }, limits: { cpu: 1, memory: 512Mi } }
termination: { preStop: 4s, drain: 6s, linger: 3s, shutdown: 10s, grace: 30s }
environment: { REDIS_URL: "redis://redis:6379/0", WORKER_THREADS: 20 }
volumes: [{ name: models, path: /models, claim: f1-models, readOnly: true }, { name: scratch, path: /scratch, size: 1Gi }]
network:
  from: [{ namespace: router }, { cidr: 10.0.0.0/28 }]
  to:
    - { cidr: 10.1.0.0/16, ports: [5432] }
    - { namespace: stores, pods: { app: redis }, ports: [6379] }
pullSecrets: [registry]
`

/** A workload as it is read from a file. */
export const workload = (yaml: string): Workload => readConfiguration("deploy.yaml", yaml, workloadSection)

const digest = `sha256:${"a1".repeat(32)}`

export const release = (change: Partial<RevisionSpec> = {}): RevisionSpec => ({
  environment: "staging",
  namespace: "f1-staging",
  service: "f1-backend",
  revision: 7,
  image: `ghcr.io/owner/f1-backend@${digest}`,
  digest,
  version: "1.4.0",
  config: { LOG_LEVEL: "DEBUG" },
  secrets: {
    // In parts: a scanner would take them for real ones.
    database_url: ["postgresql:/", "f1:hunter2-hunter2@db", "f1"].join("/"),
    jwt_secret_key: ["a-very-long", "signing-key"].join("-"),
  },
  schema: { head: "0012", breaking: ["0009", "0011"] },
  ...change,
})

interface Kinds {
  ConfigMap: V1ConfigMap
  Deployment: V1Deployment
  NetworkPolicy: V1NetworkPolicy
  Secret: V1Secret
  Service: V1Service
}

/** The one object of a kind. */
export function the<Kind extends keyof Kinds>(kind: Kind, objects: Manifest[]): Plain<Kinds[Kind]> {
  const [found, ...more] = objects.filter((object) => object.kind === kind)
  if (!found || more.length > 0) throw new Error(`not one ${kind}`)
  return found as Plain<Kinds[Kind]>
}

/** A revision's Deployment. */
export const deploymentOf = (change: Partial<RevisionSpec> = {}, yaml = full) =>
  the("Deployment", revisionObjects(workload(yaml), release(change)))
