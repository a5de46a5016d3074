import { reportProgress } from "../lib/progress.js"
import type { Directory, File } from "@dagger.io/dagger"
import { newId } from "../delivery/journal.js"
import { readStrategy, type Strategy } from "../delivery/strategy.js"
import { backendSettings, deployFile, environmentOf, readDeploy } from "../environments/configuration.js"
import type { Layer } from "../lib/document.js"
import { RehearsalEnvironment } from "./environment.js"
import { faultNames, faultOf } from "./faults.js"
import { type RehearsalResult, resultTable } from "./measurements/result.js"
import { type PeerName, peerOf } from "./peers/index.js"
import { loadImages, peerImages, prepareImages } from "./prepare.js"
import { environmentName, Rehearsals } from "./rehearsal.js"

/** The arguments of `rehearse`. */
export interface RehearsalRequest {
  faults: string[]
  strategies: string[]
  service: string
  /** Requests per second. */
  rate: number
  /** Overrides settings of rehearsals. */
  settings?: File
  /** Tools to compare with. */
  peers: string[]
  json: boolean
}

/** Overrides settings of deploy.yaml. */
const settingsFile = "dagger/config/rehearsal.yaml"

/** Runs the rehearsals of one request. */
export class RehearsalRunner {
  constructor(private readonly source: Directory) {}

  /**
   * Rehearses each fault with each strategy and peer on one cluster.
   *
   * @returns the measurements as a table or as JSON
   * @throws Error with the measurements if one of ours did not meet its expectation
   */
  async rehearse(request: RehearsalRequest): Promise<string> {
    const { service, rate, json } = request
    const rehearsed = rehearsalsOf(request)
    if (rate < 1) throw new Error(`${rate} requests per second are no load; allowed: 1 and more`)
    const comparisons = comparisonsOf(request)
    const { configuration, environment } = await this.readSettings(request.settings)
    backendSettings(configuration, environment, [service])
    const say = reportProgress
    await prepareImages([...loadImages, ...comparisons.flatMap(({ peer }) => peerImages[peer])], say)
    const cluster = await RehearsalEnvironment.start(this.source, {
      service,
      deployedTo: environment,
      id: `rehearsal-${newId(Date.now())}`,
      say,
    })
    const results: RehearsalResult[] = []
    try {
      const rehearsals = new Rehearsals({
        cluster,
        configuration,
        service,
        rate,
        say,
        planted: this.source.file("dagger/config/rehearsal/planted.py"),
        watchdog: await this.source.file("dagger/config/kubernetes/watchdog.py").contents(),
      })
      await rehearsals.begin()
      const add = (result: RehearsalResult) => {
        say(resultTable([result]))
        results.push(result)
      }
      for (const { fault, strategy } of rehearsed) add(await rehearsals.run(fault, strategy))
      for (const { fault, peer } of comparisons) add(await rehearsals.compare(fault, peer))
    } finally {
      await cluster.stop()
    }
    const report = json ? JSON.stringify(results, undefined, 2) : resultTable(results)
    if (results.some(({ unmet }) => unmet.length > 0)) {
      throw new Error(`not all rehearsals ended as expected\n\n${report}`)
    }
    return report
  }

  private async readSettings(settings: File | undefined) {
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
 * Lists the rehearsals of a request, in order.
 *
 * @throws Error for an unknown fault or strategy
 */
export function rehearsalsOf({
  faults,
  strategies: names,
}: Pick<RehearsalRequest, "faults" | "strategies">): {
  fault: string
  strategy: Strategy
}[] {
  const strategies = names.map(readStrategy)
  if (faults.length === 0) throw new Error(`name at least one fault; allowed: ${faultNames.join(", ")}`)
  return faults.flatMap((fault) => {
    faultOf(fault)
    return strategies.map((strategy) => ({ fault, strategy }))
  })
}

/**
 * Lists the comparisons of a request, in order.
 *
 * @throws Error for an unknown peer, and for a fault that disrupts our own deploy: a peer does not run it
 */
export function comparisonsOf({ faults, peers }: Pick<RehearsalRequest, "faults" | "peers">): {
  fault: string
  peer: PeerName
}[] {
  return peers.map(peerOf).flatMap((peer) =>
    faults.map((fault) => {
      if (faultOf(fault).disruption) {
        throw new Error(
          `"${fault}" cannot be compared with ${peer}: it disrupts the deploy and is not a fault of the candidate; leave out --fault ${fault} or --peer ${peer}`,
        )
      }
      return { fault, peer }
    }),
  )
}
