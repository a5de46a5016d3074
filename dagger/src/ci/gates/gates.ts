import type { Directory } from "@dagger.io/dagger"
import type { Service } from "../../platform/catalog.js"
import type { Platform } from "../../platform/platform.js"
import { browserGate } from "./browser.js"
import { type Gate, type Ran, run, skipped } from "../runner/gate.js"
import { imageGates } from "./image.js"
import { type Load, loadGate } from "./load.js"
import { moduleGates } from "./module.js"
import { pythonGates } from "./python.js"
import { reactGates } from "./react.js"
import { schedule, type Policy } from "../runner/schedule.js"
import { securityGates, type SecurityOptions } from "./security.js"

/** What gates are told by whoever runs them. */
export interface Options extends SecurityOptions {
  /** Put backends under load as well. */
  load?: Load
}

/** Every gate, those that take longest first: they decide how long the whole takes. */
export function allGates(source: Directory, platform: Platform, { load, ...security }: Options = {}): Gate[] {
  const services = Object.values(platform.catalog)
  const deployable = services.filter((service) => service.deployable)
  return [
    ...deployable.flatMap((service) => imageGates(platform, service)),
    ...services.flatMap((service) =>
      service.kind === "python"
        ? pythonGates(service, platform.services)
        : reactGates(service, platform.services),
    ),
    ...deployable.filter((service) => !isBackend(service)).map((service) => browserGate(platform, service)),
    ...(load ? deployable.filter(isBackend).map((service) => loadGate(platform, service, load)) : []),
    ...moduleGates(source),
    ...securityGates(source, platform, security),
  ]
}

const isBackend = ({ backend }: Service) => backend === undefined

/** What a gate belongs to: a service, or another group of its own. */
export function groupOf({ name }: Gate): string {
  return name.split(":", 1)[0] ?? name
}

/** The gates of these names, with all that they need. */
export function withNeeds(gates: Gate[], names: string[]): Gate[] {
  const wanted = new Set(names)
  // A set that grows while it is walked: what is needed may need more.
  for (const name of wanted) {
    gates.find((gate) => gate.name === name)?.needs?.forEach((need) => wanted.add(need))
  }
  return gates.filter(({ name }) => wanted.has(name))
}

/** Runs gates, in parallel as far as the policy lets them. */
export function runAll(gates: Gate[], policy: Policy): Promise<Ran[]> {
  return schedule(gates, run, skipped, policy)
}
