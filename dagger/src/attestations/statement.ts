import { isDeepStrictEqual } from "node:util"
import { z } from "zod"

/** What statements about images say, by their types. */
export const predicateTypes = {
  signature: "https://sigstore.dev/cosign/sign/v1",
  provenance: "https://slsa.dev/provenance/v1",
  tests: "https://in-toto.io/attestation/test-result/v0.1",
  spdx: "https://spdx.dev/Document",
  cyclonedx: "https://cyclonedx.org/bom",
  vulnerabilities: "https://in-toto.io/attestation/vulns/v0.2",
} as const
export type PredicateKind = keyof typeof predicateTypes

const schema = z.looseObject({
  _type: z.literal("https://in-toto.io/Statement/v1"),
  subject: z
    .array(z.looseObject({ name: z.string().optional(), digest: z.record(z.string(), z.string()) }))
    .min(1),
  predicateType: z.string(),
  predicate: z.record(z.string(), z.unknown()).default({}),
})

/** A statement of in-toto about an image. */
export type Statement = z.output<typeof schema>

export const payloadType = "application/vnd.in-toto+json"

/**
 * Reads a statement.
 *
 * @returns undefined for a text that is none
 */
export function readStatement(text: string): Statement | undefined {
  try {
    return schema.safeParse(JSON.parse(text)).data
  } catch {
    return undefined
  }
}

/** The image that a statement is about. */
export interface Subject {
  /** Its repository, such as `ghcr.io/owner/api`. */
  name: string
  digest: string
}

function statement(kind: PredicateKind, { name, digest }: Subject, predicate: object): Statement {
  return {
    _type: "https://in-toto.io/Statement/v1",
    // cosign's own signatures name no repository: an image that is copied keeps them.
    subject: [{ ...(kind !== "signature" && { name }), digest: { sha256: digest.replace(/^sha256:/, "") } }],
    predicateType: predicateTypes[kind],
    predicate: { ...predicate },
  }
}

export const isAbout = ({ subject }: Statement, digest: string): boolean =>
  subject.some(({ digest: { sha256 } }) => `sha256:${sha256 ?? ""}` === digest)

export const signature = (subject: Subject): Statement => statement("signature", subject, {})

export const spdx = (subject: Subject, document: object): Statement => statement("spdx", subject, document)

export const cyclonedx = (subject: Subject, document: object): Statement =>
  statement("cyclonedx", subject, document)

/** What an image was built from. */
export interface BuildSource {
  /** The commit; all files are as it has them. */
  commit: string
  /** Address of its repository, such as `https://github.com/owner/repository`; absent where nobody vouches for it. */
  repository?: string
}

/** Who built an image, and when. */
export interface BuildRun {
  /** An address that says who vouches for the build; see docs/images.md. */
  builder: string
  /** The run of the workflow. */
  invocation?: string
  /** ISO 8601. */
  started: string
  finished: string
}

/** How an image came to be (SLSA provenance v1). */
export function provenance(
  subject: Subject,
  { service, platforms }: { service: string; platforms: string[] },
  { commit, repository }: BuildSource,
  { builder, invocation, started, finished }: BuildRun,
): Statement {
  return statement("provenance", subject, {
    buildDefinition: {
      buildType: "https://pitwall.dev/build/v1",
      externalParameters: { service, platforms },
      internalParameters: {},
      resolvedDependencies: [
        {
          ...(repository !== undefined && { uri: `git+${repository}` }),
          name: "source",
          digest: { gitCommit: commit },
        },
      ],
    },
    runDetails: {
      builder: { id: builder },
      metadata: {
        ...(invocation !== undefined && { invocationId: invocation }),
        startedOn: started,
        finishedOn: finished,
      },
    },
  })
}

/** What the gates said of the source of an image. */
export interface TestedSource extends BuildSource {
  gates: { gate: string; outcome: "passed" | "failed" | "could not run" | "skipped" }[]
  /** Digest of the report. */
  report: string
}

/** The gates' results (in-toto test result). A gate that was skipped says nothing for or against an image: it is a warning. */
export function tests(subject: Subject, { commit, repository, gates, report }: TestedSource): Statement {
  const named = (...outcomes: TestedSource["gates"][number]["outcome"][]) =>
    gates.filter(({ outcome }) => outcomes.includes(outcome)).map(({ gate }) => gate)
  const [failed, warned] = [named("failed", "could not run"), named("skipped")]
  return statement("tests", subject, {
    result: failed.length > 0 ? "FAILED" : warned.length > 0 ? "WARNED" : "PASSED",
    configuration: [
      {
        ...(repository !== undefined && { uri: `git+${repository}` }),
        name: "source",
        digest: { gitCommit: commit },
      },
      { name: "summary.json", digest: { sha256: report.replace(/^sha256:/, "") } },
    ],
    passedTests: named("passed"),
    warnedTests: warned,
    failedTests: failed,
  })
}

/** What a scanner found in an image. */
export interface VulnerabilityScan {
  scanner: { uri: string; version: string }
  /** When the database of vulnerabilities was made, ISO 8601. */
  database: { uri: string; made: string }
  found: { id: string; severity: string; package: string }[]
  /** ISO 8601. */
  started: string
  finished: string
}

/** The result of a scan (in-toto vulnerabilities). No finding is an empty list. */
export function vulnerabilities(subject: Subject, scan: VulnerabilityScan): Statement {
  const { scanner, database, found, started, finished } = scan
  return statement("vulnerabilities", subject, {
    scanner: {
      ...scanner,
      db: { uri: database.uri, lastUpdate: database.made },
      result: found.map(({ id, severity, package: name }) => ({
        id,
        severity: [{ method: "trivy", score: severity }],
        annotations: [{ package: name }],
      })),
    },
    metadata: { scanStartedOn: started, scanFinishedOn: finished },
  })
}

/** Whether two statements say the same, whenever and by whichever run they were made: then one of them is enough. */
export function saysTheSame(one: Statement, other: Statement): boolean {
  return isDeepStrictEqual(timeless(one), timeless(other))
}

function timeless(statement: Statement): unknown {
  const { runDetails, metadata, ...predicate } = JSON.parse(JSON.stringify(statement.predicate)) as {
    runDetails?: { builder?: unknown }
    metadata?: Record<string, unknown>
  }
  const scanned = statement.predicateType === predicateTypes.vulnerabilities
  return JSON.parse(
    JSON.stringify({
      ...statement,
      predicate: {
        ...predicate,
        ...(runDetails && { builder: runDetails.builder }),
        ...(!scanned && { metadata }),
      },
    }),
  )
}
