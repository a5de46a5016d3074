import type { File } from "@dagger.io/dagger"
import { PodMetrics } from "../backends/analysis/sources.js"
import { stableRevision } from "../backends/decisions.js"
import { ClusterPods } from "../backends/revisions/pods.js"
import type { BackendSettings } from "../backends/settings.js"
import { type KubernetesApi, KubernetesClient } from "../clients/kubernetes/client.js"
import { deploy, rollback } from "../delivery/executor.js"
import { newId } from "../delivery/journal.js"
import type { Strategy } from "../delivery/strategy.js"
import {
  backendSettings,
  type DeployConfiguration,
  type Environment,
  environmentOf,
} from "../environments/configuration.js"
import { type OpenEnvironment, openEnvironment } from "../environments/environment.js"
import { guardsOf } from "../environments/guards.js"
import { monotonic } from "../lib/clock.js"
import { oneLine } from "../lib/text.js"
import { candidateImage, missingImage } from "./candidate.js"
import { deployDisrupted } from "./disruption.js"
import type { RehearsalEnvironment } from "./environment.js"
import { type Fault, faultOf } from "./faults.js"
import { addresses, underLoad } from "./load.js"
import { unmet } from "./measurements/expectation.js"
import { measure, type Recording } from "./measurements/measurements.js"
import type { PhaseChange } from "./measurements/phase-change.js"
import type { RehearsalResult } from "./measurements/result.js"
import { RolloutObserver } from "./observer.js"
import { startPeer, type PeerName } from "./peers/index.js"
import * as peers from "./peers/peer.js"

/** What all rehearsals on one cluster share. */
export interface RehearsalContext {
  cluster: RehearsalEnvironment
  configuration: DeployConfiguration
  service: string
  /** Requests per second. */
  rate: number
  /** `dagger/config/rehearsal/planted.py`. */
  planted: File
  /** `dagger/config/kubernetes/watchdog.py`. */
  watchdog: string
  say: (line: string) => void
}

/** Rehearsals deploy to this environment, because it has no guards. */
export const environmentName = "staging"

/** Milliseconds for which a comparison goes on after a faulty rollout, because a peer may take traffic back only then. */
const afterFault = 20_000

interface DeployOptions {
  image: string
  strategy: Strategy
  variables: Record<string, string>
  /** Overrides settings of the analysis. */
  analysis?: Fault["analysis"]
}

/** Rehearses deploys of one service, one after another: runs the code of `deploy` for a candidate under load. */
export class Rehearsals {
  private readonly environment: Environment
  private readonly settings: BackendSettings
  private stable = ""

  constructor(private readonly context: RehearsalContext) {
    const { configuration, service } = context
    this.environment = environmentOf(configuration, environmentName)
    const [settings] = backendSettings(configuration, this.environment, [service])
    if (!settings) throw new Error(`${environmentName} has no service ${service}`)
    this.settings = settings
  }

  /** Deploys the first revision, to which a rollback returns. */
  async begin(): Promise<void> {
    const { cluster } = this.context
    this.stable = await cluster.publish(await cluster.image())
    await this.deploy({ image: this.stable, strategy: "blue-green", variables: {} }, await this.connect())
  }

  /** Deploys a candidate with a fault, and measures the effect on users. */
  async run(name: string, strategy: Strategy): Promise<RehearsalResult> {
    const { cluster, say, service } = this.context
    const fault = faultOf(name)
    const mark = `${name}-${strategy}-${newId(Date.now())}`
    say(`Rehearsal, ${strategy}: ${fault.description}`)
    const image = await this.publishCandidate(fault, mark, this.host)
    const options = { image, strategy, variables: fault.variables ?? {}, analysis: fault.analysis }
    const [backend] = (await this.open(options, cluster.admin)).backends([], { strategy })
    if (!backend) throw new Error(`${environmentName} has no service ${service}`)
    const before = await backend.deployed.record.read()
    let message = ""
    const recording = await this.record(
      mark,
      this.host,
      { namespace: this.environment.namespace, revision: stableRevision(before) ?? 0, service },
      async () => {
        const observer = new RolloutObserver(backend.deployed, before?.id)
        message = await deployDisrupted(fault.disruption, {
          deploy: (api) => outputOf(this.deploy(options, api)),
          connect: (address) => this.connect(address),
          observer,
          admin: cluster.admin,
          apiAddress: () => cluster.cluster.api(),
          image: this.stable,
        })
        return observer.stop()
      },
    )
    say(message)
    const figures = measure(recording, this.slow)
    // The next rehearsal must not compare its candidate with a faulty revision.
    if (fault.planted && figures.outcome === "promoted") await this.rollBack(stableRevision(before))
    return {
      fault: name,
      strategy,
      figures,
      unmet: unmet(figures, fault.expected[strategy]),
      message: oneLine(message, 500),
    }
  }

  /** Deploys a candidate with the same fault by another tool, and measures the same. Nothing is expected of the other tool. */
  async compare(name: string, peerName: PeerName): Promise<RehearsalResult> {
    const { cluster, configuration, say } = this.context
    const fault = faultOf(name)
    const mark = `${name}-${peerName}-${newId(Date.now())}`
    say(`The same with ${peerName}: ${fault.description}`)
    const peer = await startPeer(peerName, {
      admin: cluster.admin,
      environment: this.environment,
      settings: this.settings,
      analysis: configuration.analysis,
      secrets: this.secretValues(),
      image: this.stable,
      publish: (image, repository) => cluster.publish(image, repository),
    })
    const image = await this.publishCandidate(fault, mark, peers.host)
    const { namespace, revision } = peers
    const pods = { namespace, revision, service: peer.service }
    const recording = await this.record(mark, peers.host, pods, async () => {
      const changes = await peers.rollOut(cluster.admin, peer, image, fault.variables ?? {})
      if (name !== "none") await monotonic.pause(afterFault)
      return changes
    })
    await peers.remove(cluster.admin)
    return { fault: name, strategy: peerName, figures: measure(recording, this.slow), unmet: [], message: "" }
  }

  private async rollBack(to: number | undefined): Promise<void> {
    const opened = await this.open({ variables: {} }, await this.connect())
    await rollback(opened.delivery, opened.backends([]), {
      reason: "rehearsal",
      ...(to !== undefined && { to: String(to) }),
    })
  }

  /**
   * Runs a rollout under load.
   *
   * @param pods that serve the load at first
   */
  private async record(
    mark: string,
    host: string,
    pods: { namespace: string; revision: number; service: string },
    rollOut: () => Promise<PhaseChange[]>,
  ): Promise<Recording> {
    const { cluster, rate, service } = this.context
    const source = new PodMetrics(new ClusterPods(cluster.admin))
    const paths = addresses[service] ?? this.settings.probe
    let changes: PhaseChange[] = []
    const load = await underLoad(
      { id: mark, cluster: cluster.cluster.service, host, paths, rate },
      cluster.admin,
      async () => (await source.sample({ ...pods, role: "stable" })).requests >= rate / 2,
      async () => {
        changes = await rollOut()
      },
    )
    return { ...load, changes, mark }
  }

  /** The values that a deploy puts into the service's Secret. */
  private secretValues(): Record<string, string> {
    const { secrets } = this.context.cluster
    const values = this.settings.secrets.map(({ variable, entry }) => [
      variable.toLowerCase(),
      secrets[entry],
    ])
    return Object.fromEntries(values.filter(([, value]) => value !== undefined)) as Record<string, string>
  }

  private async publishCandidate(fault: Fault, mark: string, host: string): Promise<string> {
    const { cluster, planted, rate } = this.context
    // Between the load of a pod that gets half of all requests and of one that gets all of them.
    const busy = (0.75 * rate) / this.settings.workload.replicas.min
    const image = candidateImage(await cluster.image(), fault, {
      program: planted,
      mark,
      host,
      busy,
    })
    const published = await cluster.publish(image)
    return fault.image === "is not there" ? missingImage(published) : published
  }

  /** The limit of the p95 rule: an answer that takes longer affects users. */
  private get slow(): number {
    const rule = this.context.configuration.analysis.rules.find(({ metric }) => metric === "p95")
    return rule?.above ?? Infinity
  }

  private get host(): string {
    return this.settings.hostnames[0] ?? ""
  }

  /** Connects with the deployer's rights. */
  private async connect(address?: string): Promise<KubernetesClient> {
    return KubernetesClient.connect(await this.context.cluster.deployer(address))
  }

  private async deploy(options: DeployOptions, cluster: KubernetesApi): Promise<string> {
    const { image, strategy } = options
    const opened = await this.open(options, cluster)
    return deploy(opened.delivery, opened.backends([], { strategy }), {
      release: { schemaVersion: 1, images: { [this.context.service]: { reference: image } } },
      reason: "rehearsal",
      authors: [],
      override: "",
    })
  }

  /** Opens the environment with the rehearsed service alone. */
  private async open(
    { variables, analysis }: Pick<DeployOptions, "variables" | "analysis">,
    cluster: KubernetesApi,
  ): Promise<OpenEnvironment> {
    const { configuration, service, say, watchdog } = this.context
    const { environment } = this
    const configured = environment.services[service]
    const services = {
      [service]: {
        ...configured,
        hostnames: [this.host],
        flags: configured?.flags ?? {},
        variables: { ...configured?.variables, ...variables },
      },
    }
    return openEnvironment({
      configuration: { ...configuration, analysis: { ...configuration.analysis, ...analysis } },
      environment: { ...environment, services },
      guards: guardsOf(configuration, configuration, environment.name),
      cluster,
      who: await cluster.whoAmI(),
      watchdog,
      secrets: this.context.cluster.secrets,
      metrics: () => new PodMetrics(new ClusterPods(cluster)),
      sinks: [],
      clock: monotonic,
      say,
    })
  }
}

/** The last output of a command, also if it failed. */
async function outputOf(command: Promise<string>): Promise<string> {
  try {
    return await command
  } catch (error) {
    return (error as Error).message
  }
}
