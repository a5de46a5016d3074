import { readConfiguration, section } from "../../../src/lib/document.js"
import { guardsSection, type GuardPolicy } from "../../../src/delivery/guards/configuration.js"
import { identitiesSection, type Identity } from "../../../src/delivery/guards/identities.js"

/** A policy as it is read from a file. */
export const policy = (yaml: string): GuardPolicy => readConfiguration("deploy.yaml", yaml, guardsSection)

/** Identities as they are read from a file. */
export const identities = (yaml: string): Identity[] =>
  readConfiguration(
    "deploy.yaml",
    `identities:\n${yaml.replaceAll(/^/gm, "  ")}`,
    section({ identities: identitiesSection }),
  ).identities

/** People whose names are the same everywhere. */
export const people = identities(
  ["alan", "dora", "grace", "ada", "mallory"]
    .map(
      (name) =>
        `- { name: ${name}, emails: [${name}@example.com], github: [${name}-gh], kubernetes: [${name}] }`,
    )
    .join("\n"),
)

/** A moment written with its offset, in ms since the epoch. */
export const at = (text: string): number => new Date(text).getTime()

/** Back to a form that a test can be read by. */
export const iso = (moment: number | undefined) =>
  moment === undefined ? undefined : new Date(moment).toISOString().replace(":00.000Z", "Z")
