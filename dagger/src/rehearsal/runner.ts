import type { Directory, File } from "@dagger.io/dagger"
import type { Layer } from "../lib/document.js"
import { backendSettings, deployFile, environmentOf, readDeploy } from "../environments/configuration.js"
import { newId } from "../delivery/journal.js"
import { readStrategy, type Strategy } from "../delivery/strategy.js"
import { faultNames, faultOf } from "./faults.js"
import { type RehearsalResult, table } from "./measurements/result.js"
import { type PeerName, peerOf } from "./peers/index.js"
import { environmentName, Rehearsals } from "./rehearsal.js"
import { RehearsalEnvironment } from "./environment.js"

/** What the front desk was asked to rehearse. */
export interface RehearsalRequest {
  faults: string[]
  strategies: string[]
  service: string
  /** Requests per second. */
  rate: number
  /** Laid over the settings of rehearsals. */
  settings?: File
  /** What the same faults are rehearsed with, too. */
  peers: string[]
  json: boolean
}

/** Laid over deploy.yaml. */
const settingsFile = "dagger/config/rehearsal.yaml"

/** Where the front desk's wishes become rehearsals. */
export class RehearsalRunner {
  constructor(private readonly source: Directory) {}

  /** Rehearses each fault with each strategy on one cluster. Gives back the figures as a table or as JSON, throws with them when something did not end as it has to. */
  async rehearse(order: RehearsalRequest): Promise<string> {
    const { service, rate, json } = order
    const plays = playsOf(order)
    if (rate < 1) throw new Error(`${rate} requests per second are no load; allowed: 1 and more`)
    const comparisons = comparisonsOf(order)
    const { configuration, environment } = await this.environment(order.settings)
    backendSettings(configuration, environment, [service])
    const say = (line: string) => {
      console.log(line)
    }
    const id = `rehearsal-${newId(Date.now())}`
    const stage = await RehearsalEnvironment.start(this.source, {
      service,
      namespace: environment.namespace,
      id,
    })
    const all: RehearsalResult[] = []
    try {
      const rehearsals = new Rehearsals({
        ...{ stage, configuration, service, rate, say },
        planted: this.source.file("dagger/config/rehearsal/planted.py"),
        watch: await this.source.file("dagger/config/kubernetes/watchdog.py").contents(),
      })
      await rehearsals.begin()
      const keep = (rehearsed: RehearsalResult) => {
        say(table([rehearsed]))
        all.push(rehearsed)
      }
      for (const { fault, strategy } of plays) keep(await rehearsals.run(fault, strategy))
      for (const { fault, peer } of comparisons) keep(await rehearsals.compare(fault, peer))
    } finally {
      await stage.stop()
    }
    const report = json ? JSON.stringify(all, undefined, 2) : table(all)
    if (all.some(({ unmet }) => unmet.length > 0)) throw new Error(`not as it has to be\n\n${report}`)
    return report
  }

  private async environment(settings: File | undefined) {
    const layer = async (file: string): Promise<Layer> => ({
      file,
      text: await this.source.file(file).contents(),
    })
    const [{ text }, own, given] = await Promise.all([
      layer(deployFile),
      layer(settingsFile),
      settings && Promise.all([settings.name(), settings.contents()]),
    ])
    const configuration = readDeploy(text, own, ...(given ? [{ file: given[0], text: given[1] }] : []))
    return { configuration, environment: environmentOf(configuration, environmentName) }
  }
}

/**
 * What is to be rehearsed, in this order.
 *
 * @throws Error for a fault or a strategy that there is not
 */
export function playsOf({ faults, strategies: named }: Pick<RehearsalRequest, "faults" | "strategies">): {
  fault: string
  strategy: Strategy
}[] {
  const wanted = named.map(readStrategy)
  if (faults.length === 0) throw new Error(`name what is to go wrong; allowed: ${faultNames.join(", ")}`)
  return faults.flatMap((fault) => {
    faultOf(fault)
    return wanted.map((strategy) => ({ fault, strategy }))
  })
}

/** @throws Error for a peer that is none, and for a fault that is not of the candidate: it is done to the deploy, which no peer has */
export function comparisonsOf({ faults, peers }: Pick<RehearsalRequest, "faults" | "peers">): {
  fault: string
  peer: PeerName
}[] {
  return peers.map(peerOf).flatMap((peer) =>
    faults.map((fault) => {
      if (faultOf(fault).around) {
        throw new Error(
          `"${fault}" cannot be compared with ${peer}: it is done to the deploy, and not in the candidate; leave out the one or the other`,
        )
      }
      return { fault, peer }
    }),
  )
}
