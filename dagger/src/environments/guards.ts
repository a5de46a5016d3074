import { isDeepStrictEqual } from "node:util"
import { guardsNamespace } from "../delivery/access.js"
import type { EffectiveGuards } from "../delivery/executor.js"
import { digestOfData } from "../delivery/guards/digest.js"
import type { Guard } from "../delivery/guards/configuration.js"
import type { Identity } from "../delivery/guards/identities.js"
import { weakenings, weaker, type Weakening } from "../delivery/guards/weakening.js"
import { type Layer, placeIn } from "../lib/document.js"
import {
  type DeployConfiguration,
  deployFile,
  environmentOf,
  overlap,
  readDeploy,
  sameGateway,
} from "./configuration.js"
import { type EnvironmentName, environmentNames } from "./secrets.js"

/**
 * Reads deploy.yaml and what is laid over it, and how that changes the guards of an environment.
 *
 * @param text deploy.yaml as it is in the checkout
 * @param committed deploy.yaml as it is committed
 * @throws ConfigurationError with every fault, each with its file and line
 */
export function readGuarded(
  text: string,
  settings: Layer[],
  environment: EnvironmentName,
  committed = text,
): { configuration: DeployConfiguration; guards: EffectiveGuards } {
  const configuration = readDeploy(text, ...settings)
  const layers = [{ file: deployFile, text }, ...settings]
  const guards = guardsOf(readDeploy(committed), configuration, environment)
  const weakened = guards.weakened.map((one) => ({ ...one, place: placeIn(layers, one.path) }))
  return { configuration, guards: { ...guards, weakened } }
}

/** The guards of an environment in a configuration, compared with the committed one. */
export function guardsOf(
  committed: DeployConfiguration,
  effective: DeployConfiguration,
  name: EnvironmentName,
): EffectiveGuards {
  const { guards } = environmentOf(effective, name)
  const { identities } = effective
  return {
    committed: environmentOf(committed, name).guards,
    effective: guards,
    identities,
    weakened: weakenedIn(committed, effective, name),
    digest: digestOfData({ guards, identities, namespace: environmentOf(effective, name).namespace }),
  }
}

/** Paths in deploy.yaml of an environment's settings. */
const pathIn = (name: EnvironmentName) => (path: string[]) => ["environments", name, ...path]

/** Every way in which an environment is guarded less than the committed configuration says. */
export function weakenedIn(
  committed: DeployConfiguration,
  effective: DeployConfiguration,
  name: EnvironmentName,
): Weakening[] {
  const [before, after] = [environmentOf(committed, name), environmentOf(effective, name)]
  const within = pathIn(name)
  const needed = (guard: Guard & ("approval" | "checks")) =>
    guard === "checks" ? before.guards.checks === "required" : before.guards.approval?.required === true
  const changed = (guard: "approval" | "checks", path: string[], one: unknown, other: unknown) =>
    needed(guard) && !isDeepStrictEqual(one, other) ? [weaker(guard, path, textOf(one), textOf(other))] : []
  return [
    ...weakenings(before.guards, after.guards).map((one) => ({
      ...one,
      path: within(["guards", ...one.path]),
    })),
    ...(before.guards.approval?.required
      ? changedIdentities(committed.identities, effective.identities)
      : []),
    // Approvals and verdicts lie in a namespace that is named after it.
    ...changed("approval", within(["namespace"]), before.namespace, after.namespace),
    ...changed("checks", within(["namespace"]), before.namespace, after.namespace),
    ...intrusions(committed, effective, name),
  ]
}

/** A changed entry may hide that an approver is an author, and a new one may make an unknown author known. */
function changedIdentities(before: Identity[], after: Identity[]): Weakening[] {
  const only = (some: Identity[], others: Identity[]) =>
    some.filter((one) => !others.some((other) => isDeepStrictEqual(one, other))).map(({ name }) => name)
  const [gone, added] = [only(before, after), only(after, before)]
  return gone.length + added.length > 0
    ? [weaker("approval", ["identities"], gone.join(", "), added.join(", "))]
    : []
}

/** Where an environment would get into another one, whose guards its deploys do not meet. */
function intrusions(
  committed: DeployConfiguration,
  effective: DeployConfiguration,
  name: EnvironmentName,
): Weakening[] {
  const [before, after] = [environmentOf(committed, name), environmentOf(effective, name)]
  const within = pathIn(name)
  const others = environmentNames.filter((other) => other !== name)
  return others.flatMap((other) => {
    const { namespace, gateway, services } = environmentOf(committed, other)
    const theirs = Object.values(services).flatMap(({ hostnames }) => hostnames)
    const intrusion = (path: string[], was: string, is: string) =>
      weaker("environment", within(path), was, `${is}, which is of ${other}`)
    return [
      ...(after.namespace !== before.namespace &&
      [namespace, guardsNamespace(namespace)].includes(after.namespace)
        ? [intrusion(["namespace"], before.namespace, after.namespace)]
        : []),
      ...(sameGateway(after.gateway, gateway) && !sameGateway(before.gateway, gateway)
        ? [intrusion(["gateway"], textOf(before.gateway), textOf(after.gateway))]
        : []),
      ...Object.entries(after.services).flatMap(([service, { hostnames }]) =>
        hostnames
          .filter((host) => !before.services[service]?.hostnames.includes(host))
          .filter((host) => theirs.some((one) => overlap(host, one)))
          .map((host) =>
            intrusion(
              ["services", service, "hostnames"],
              before.services[service]?.hostnames.join(", ") ?? "",
              host,
            ),
          ),
      ),
    ]
  })
}

const textOf = (value: unknown) =>
  value === undefined ? "" : typeof value === "string" ? value : JSON.stringify(value)
