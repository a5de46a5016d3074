import { day } from "../../lib/clock.js"
import { z } from "zod"
import { ConfigurationError, readConfiguration, section } from "../../lib/document.js"
import { trustedKey } from "../../lib/keys.js"
import { severities } from "../report/severity.js"
import { parsePackage } from "./package-url.js"

export const securityFile = "dagger/config/security.yaml"

/** The most days that a finding may be ignored for. After that, somebody has to look at it again. */
const longest = 180

const block = z.array(z.enum(severities)).min(1)
const reason = z.string().trim().min(10, "a reason that others can judge, of at least 10 characters")
const packageUrl = z
  .string()
  .refine((url) => parsePackage(url) !== undefined, "a package URL, such as pkg:npm/react")

const ignore = section({
  id: z.string().min(1),
  gates: z.array(z.string().regex(/^[a-z0-9-]+:[a-z]+$/, "a gate, such as security:dependencies")).min(1),
  package: packageUrl.optional(),
  path: z.string().min(1).optional(),
  reason,
  expires: z.iso.date("a date, such as 2026-12-31"),
})

const schema = section({
  vulnerabilities: section({
    database: z
      .string()
      .regex(/^[^\s/]+\/\S+[:@]\S+$/, "an OCI reference, such as ghcr.io/aquasecurity/trivy-db:2"),
    "without-database": z.enum(["fail", "warn"]),
    oldest: z.int().min(1).max(365),
    block,
  }),
  configuration: section({ block }),
  code: section({ block }),
  licences: section({
    allowed: z.array(z.string().min(1)),
    forbidden: z.array(z.string().min(1)),
    clarified: z.array(section({ package: packageUrl, licence: z.string().min(1), reason })).default([]),
  }),
  ignores: z.array(ignore).default([]),
  passes: section({
    trusted: z.array(
      z
        .string()
        .refine(
          (pem) => trustedKey(pem) !== undefined,
          "a public key in PEM, of Ed25519 or an elliptic curve",
        ),
    ),
  }).default({ trusted: [] }),
})

export type SecurityConfiguration = z.output<typeof schema>
/** Accepts a finding until a date. */
export type Ignore = z.output<typeof ignore>
/** Which licences delivered packages may have. */
export type LicencePolicy = SecurityConfiguration["licences"]

/**
 * Reads security.yaml.
 *
 * @param now decides how far ahead an ignore may expire
 * @throws ConfigurationError with every fault, each with its file and line
 */
export function readSecurity(text: string, now: Date): SecurityConfiguration {
  const latest = new Date(now.getTime() + longest * day).toISOString().slice(0, 10)
  const dated = schema.superRefine(({ ignores }, context) => {
    for (const [at, { expires }] of ignores.entries()) {
      if (expires <= latest) continue
      context.addIssue({
        code: "custom",
        path: ["ignores", at, "expires"],
        message: `at most ${longest} days ahead: ${latest} or earlier`,
      })
    }
  })
  return readConfiguration(securityFile, text, dated)
}

/**
 * Checks that the gates that ignores name exist.
 *
 * @param gates the gates that ignores can be for
 */
export function checkGates({ ignores }: SecurityConfiguration, gates: string[]): void {
  const unknown = [...new Set(ignores.flatMap((ignore) => ignore.gates))].filter(
    (name) => !gates.includes(name),
  )
  if (unknown.length > 0) {
    throw new ConfigurationError(
      `${securityFile}: ignores: no such gate: ${unknown.join(", ")}; allowed: ${gates.join(", ")}`,
    )
  }
}
