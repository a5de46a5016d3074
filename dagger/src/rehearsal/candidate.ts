import type { Container, File } from "@dagger.io/dagger"
import { hexDigest } from "../lib/image-reference.js"
import type { Fault } from "./faults.js"

/** How a candidate's image is marked, and how its planted fault behaves. */
export interface CandidateOptions {
  /** `dagger/config/rehearsal/planted.py`. */
  program: File
  /** Returned in a header of each answer, so that measurements know which image answered. */
  mark: string
  /** Host name of users' requests. A fault for users does not affect other requests. */
  host: string
  /** Requests per second of one pod above which it must have all traffic. */
  busy: number
}

/** Builds the image of a candidate: the service's image with a mark and a fault. */
export function candidateImage(image: Container, fault: Fault, options: CandidateOptions): Container {
  const folder = "/opt/rehearsal"
  const { disruption, planted = "" } = fault
  const variables = {
    REHEARSAL_MARK: options.mark,
    REHEARSAL_FAULT: planted,
    REHEARSAL_HOST: options.host,
    REHEARSAL_BUSY: String(options.busy),
    ...(disruption?.kind === "clock" && { TZ: disruption.zone }),
  }
  const candidate = Object.entries(variables)
    .reduce((container, [name, value]) => container.withEnvVariable(name, value), image)
    // Python runs a module of this name before the service.
    .withFile(`${folder}/sitecustomize.py`, options.program, { permissions: 0o644 })
    .withEnvVariable("PYTHONPATH", `${folder}:$PYTHONPATH`, { expand: true })
  return fault.image === "ends at once" ? candidate.withEntrypoint(["false"]) : candidate
}

/** A reference to an image that the registry does not have. */
export const missingImage = (reference: string) =>
  reference.replace(new RegExp(`${hexDigest}$`), "0".repeat(64))
