import { z } from "zod"
import type { V1NetworkPolicyEgressRule } from "@kubernetes/client-node"
import type { Plain } from "../clients/kubernetes/manifest.js"
import { bucketName, regionName } from "../lib/cloud-names.js"
import { section } from "../lib/document.js"
import { configuredDuration } from "../lib/duration.js"
import { cpu, memory } from "../lib/quantity.js"

/** Room for the longest name made from it: a Job's name has at most 63 characters. */
const longestName = 63 - "-model-20261126-101500-x7k2-p99".length

const endpoint = z.string().refine(
  (text) => {
    const found = URL.canParse(text) ? new URL(text) : undefined
    const plain = found?.username === "" && found.password === "" && found.search === "" && found.hash === ""
    return plain && ["http:", "https:"].includes(found.protocol)
  },
  { error: "an address such as https://s3.example.com, without a user and a password" },
)

/** The model of a service: where it is kept and how it is trained; see `dagger/config/deploy.yaml`. */
export const modelSection = section({
  name: z
    .string()
    .regex(
      new RegExp(`^[a-z]([a-z0-9-]{0,${longestName - 2}}[a-z0-9])?$`),
      `a lower-case name of at most ${longestName} letters, digits and hyphens`,
    ),
  registry: section({
    bucket: bucketName,
    prefix: z
      .string()
      .regex(/^[A-Za-z0-9_.-]+(\/[A-Za-z0-9_.-]+)*$/, "a path such as models/f1, without a slash at its ends")
      .optional(),
    endpoint: endpoint.optional(),
    region: regionName.optional(),
  }),
  publicKey: z
    .string()
    .trim()
    .regex(
      /^-----BEGIN PUBLIC KEY-----\n[A-Za-z0-9+/=\n]+\n-----END PUBLIC KEY-----$/,
      "the public key that models are verified with, in PEM as `openssl ec -pubout` prints it",
    ),
  limits: section({
    time: configuredDuration
      .refine((seconds) => seconds >= 60 && seconds <= 86_400, "from 1m to 24h")
      .prefault("2h"),
    cpu: cpu.optional(),
    memory: memory.prefault("2Gi"),
    disk: memory.prefault("1Gi"),
  }).prefault({}),
  promotion: section({
    timeout: configuredDuration
      .refine((seconds) => seconds >= 30 && seconds <= 3_600, "from 30s to 1h")
      .prefault("5m"),
    watch: configuredDuration.refine((seconds) => seconds <= 3_600, "at most 1h").prefault("1m"),
    shadow: z.boolean().default(true),
  }).prefault({}),
})

type Section = z.output<typeof modelSection>

/** How the model of a service is trained and promoted in one environment. */
export interface ModelSettings extends Section {
  /** The service whose image trains it and serves it. */
  service: string
  environment: string
  namespace: string
  /** Variables of the service's pods. */
  variables: Record<string, string>
  /** What the service's pods may reach. */
  egress: Plain<V1NetworkPolicyEgressRule>[]
  pullSecrets: string[]
}

/** Where the models are, such as `s3://models/f1`: the same for all environments, as each has a pointer of its own there. */
export const registryLocation = ({ registry: { bucket, prefix } }: Pick<Section, "registry">): string =>
  `s3://${[bucket, ...(prefix === undefined ? [] : [prefix])].join("/")}`

/** Variables by which the image finds the models: in the pods that serve, and in the Job that trains. */
export const modelVariables = ({
  registry,
  publicKey,
}: Pick<Section, "registry" | "publicKey">): Record<string, string> => ({
  MODEL_REGISTRY: registryLocation({ registry }),
  MODEL_PUBLIC_KEY: publicKey,
  ...(registry.endpoint !== undefined && { MODEL_REGISTRY_ENDPOINT: registry.endpoint }),
  ...(registry.region !== undefined && { MODEL_REGISTRY_REGION: registry.region }),
})

/** The port of the store. */
export function registryPort({ registry }: Pick<Section, "registry">): number {
  const { protocol, port } = new URL(registry.endpoint ?? "https://s3.amazonaws.com")
  return port === "" ? (protocol === "https:" ? 443 : 80) : Number(port)
}
