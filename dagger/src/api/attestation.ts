import type { Directory } from "@dagger.io/dagger"
import { signerOf } from "../attestations/signer.js"
import { readSummary } from "../ci/report/summary.js"
import { readSecurity, securityFile } from "../ci/security/configuration.js"
import { vulnerabilityDatabase } from "../ci/security/database.js"
import { describeImage } from "../ci/security/describe.js"
import { sha256 } from "../clients/registry/repository.js"
import { verdictFor } from "../delivery/verdicts.js"
import type { Attestation } from "../images/attest.js"
import { reportProgress } from "../lib/progress.js"

/**
 * What is to be said of images that are about to be built; undefined where nobody signs.
 *
 * @param secrets values of the secrets file, by entry
 * @param build.report a summary.json; absent: the images get no test results
 * @throws Error for files that differ from the commit, for a report that is not about it or not about all of it, and for keys that cannot be read
 */
export async function attestationBy(
  secrets: Record<string, string>,
  build: { source: Directory; commit: string | undefined; services: string[]; report: string | undefined },
): Promise<Attestation | undefined> {
  const signer = await signerOf(secrets)
  if (!signer) return undefined
  const { source, commit, services, report } = build
  if (commit === undefined)
    throw new Error("nothing is signed that does not name its commit: commit all changes, in a clone")
  const { run } = signer
  if (run && run.commit !== commit)
    throw new Error(`the workflow runs for the commit ${run.commit}, and the files are those of ${commit}`)
  if (report === undefined)
    reportProgress("The images get no test results: give the report of the gates with --from.")
  const summary = report === undefined ? undefined : readSummary(report)
  if (summary) verdictFor(summary, { commit, services })
  const now = new Date()
  const { vulnerabilities } = readSecurity(await source.file(securityFile).contents(), now)
  const { database: reference, oldest } = vulnerabilities
  const database = await vulnerabilityDatabase({ reference, oldest }, now)
  if ("missing" in database)
    reportProgress(`The images get no vulnerability scan: there is no database (${database.missing}).`)
  return {
    signer,
    source: { commit, ...(run && { repository: run.repository }) },
    ...(summary &&
      report !== undefined && {
        tested: {
          gates: summary.gates.map(({ gate, outcome }) => ({ gate, outcome })),
          report: sha256(report),
        },
      }),
    describe: (image) => describeImage(image, database, reference),
    started: now.toISOString(),
  }
}
