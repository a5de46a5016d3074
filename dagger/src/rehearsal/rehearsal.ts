import type { Container, File } from "@dagger.io/dagger"
import { PodMetrics } from "../backends/analysis/sources.js"
import { monotonic } from "../lib/clock.js"
import type { DeployedService } from "../backends/deployed-service.js"
import { stableRevision } from "../backends/decisions.js"
import type { BackendSettings } from "../backends/settings.js"
import { deploy, rollback } from "../delivery/executor.js"
import { newId } from "../delivery/journal.js"
import {
  backendSettings,
  type DeployConfiguration,
  type Environment,
  environmentOf,
} from "../environments/configuration.js"
import { type OpenEnvironment, openEnvironment } from "../environments/environment.js"
import { type KubernetesApi, KubernetesClient } from "../clients/kubernetes/client.js"
import { ClusterPods } from "../backends/revisions/pods.js"
import { oneLine } from "../lib/text.js"
import { trafficSplit, type Rollout } from "../backends/rollout/rollout.js"
import type { Strategy } from "../delivery/strategy.js"
import { type Around, type Fault, faultOf, type Moment } from "./faults.js"
import { addresses, underLoad } from "./load.js"
import { unmet } from "./measurements/expectation.js"
import { measure, type Recording } from "./measurements/measurements.js"
import type { RehearsalResult } from "./measurements/result.js"
import { appendChange, type RolloutSnapshot } from "./measurements/snapshot.js"
import { begin, type PeerName } from "./peers/index.js"
import * as peers from "./peers/peer.js"
import type { RehearsalEnvironment } from "./environment.js"
import { killApiServer, Line, mortal } from "./fault-injection.js"

/** What rehearsals on one stage have in common. */
export interface Setting {
  stage: RehearsalEnvironment
  configuration: DeployConfiguration
  service: string
  /** Requests per second. */
  rate: number
  /** What is planted into a candidate's image. */
  planted: File
  /** The program of the dead-man's switch. */
  watch: string
  say: (line: string) => void
}

/** Of whom a rehearsal's deploys are: it has no guards. */
export const environmentName = "staging"

/** Milliseconds between two looks at the rollout. */
const look = 300
/** Seconds that the cluster has for what it does by itself. */
const patience = 120

/** Milliseconds after which somebody would look at a bad revision that nothing takes back. */
const attention = 20_000

/** What is deployed, and how. */
interface Wish {
  image: string
  strategy: Strategy
  variables: Record<string, string>
  /** Laid over the settings of the analysis. */
  analysis?: Fault["analysis"]
}

/** The rollout of a rehearsal as it is seen from outside, by somebody who does not take part. */
class Witness {
  private readonly snapshots: RolloutSnapshot[] = []
  private over = false
  private readonly watching: Promise<void>

  /** @param past the rollout that was there before */
  constructor(
    private readonly deployed: DeployedService,
    private readonly past: string | undefined,
  ) {
    this.watching = this.watch()
  }

  /** Waits until the rollout comes to a moment, or is at its end. */
  async until(moment: Moment | "aborting"): Promise<void> {
    const there = ({ phase }: RolloutSnapshot) =>
      phase === moment || (moment === "exposed" && exposed.includes(phase))
    const end = ({ phase }: RolloutSnapshot) => phase === "promoted" || phase === "aborted"
    for (let left = (patience * 1000) / look; left > 0; left--) {
      if (this.snapshots.some((snapshot) => there(snapshot) || end(snapshot))) return
      await monotonic.pause(look)
    }
    const phase = this.snapshots.at(-1)?.phase ?? "not begun"
    throw new Error(`the rollout was not seen ${moment} within ${patience} s: it is ${phase}`)
  }

  async stop(): Promise<RolloutSnapshot[]> {
    this.over = true
    await this.watching
    return this.snapshots
  }

  private async watch(): Promise<void> {
    while (!this.over) {
      this.see(await this.deployed.record.read())
      await monotonic.pause(look)
    }
    this.see(await this.deployed.record.read())
  }

  private see(rollout: Rollout | undefined): void {
    if (!rollout || rollout.id === this.past) return
    const { phase, revision } = rollout
    const share = trafficSplit(rollout, this.deployed.rolloutSettings).find(
      (backend) => backend.revision === revision && !backend.baseline,
    )
    appendChange(this.snapshots, { phase, weight: share?.weight ?? 0 })
  }
}

const exposed: string[] = ["shifting", "promoting"] satisfies Rollout["phase"][]

/** Rehearsals of one service on one stage, one after another: each deploys a candidate by the code of `deploy`, with load on it. */
export class Rehearsals {
  private readonly environment: Environment
  private readonly settings: BackendSettings

  constructor(private readonly setting: Setting) {
    const { configuration, service } = setting
    this.environment = environmentOf(configuration, environmentName)
    const [settings] = backendSettings(configuration, this.environment, [service])
    if (!settings) throw new Error(`${environmentName} has no service ${service}`)
    this.settings = settings
  }

  /** Deploys the first revision: the one that there is to go back to. */
  async begin(): Promise<void> {
    const image = await this.plain()
    await this.command({ image, strategy: "blue-green", variables: {} }, await this.connect())
  }

  /** Deploys a candidate with a fault, and measures what users had of it. */
  async run(name: string, strategy: Strategy): Promise<RehearsalResult> {
    const fault = faultOf(name)
    const mark = `${name}-${strategy}-${newId(Date.now())}`
    this.setting.say(`Rehearsal, ${strategy}: ${fault.what}`)
    const image = await this.candidate(fault, mark, this.host)
    const wish = { image, strategy, variables: fault.variables ?? {}, analysis: fault.analysis }
    const [backend] = (await this.open(wish, this.setting.stage.admin)).components([], { strategy })
    if (!backend) throw new Error(`${environmentName} has no service ${this.setting.service}`)
    const before = await backend.deployed.record.read()
    const { namespace } = this.environment
    let message = ""
    const recording = await this.record(
      mark,
      this.host,
      { namespace, revision: stableRevision(before) ?? 0, service: this.setting.service },
      async () => {
        const witness = new Witness(backend.deployed, before?.id)
        message = await this.act(fault.around, wish, witness)
        return witness.stop()
      },
    )
    this.setting.say(message)
    const figures = measure(recording)
    const surprises = unmet(figures, fault.expected[strategy])
    // What comes next is not to be compared with a revision that has the fault.
    if (fault.planted && figures.outcome === "promoted") await this.back(stableRevision(before))
    return { fault: name, strategy, figures, unmet: surprises, message: oneLine(message, 500) }
  }

  /** Goes back to a revision as a rollback does, which needs no users to prove it. */
  private async back(to: number | undefined): Promise<void> {
    const { components, delivery } = await this.open({ variables: {} }, await this.connect())
    await rollback(delivery, components([]), { reason: "rehearsal", ...(to !== undefined && { to }) })
  }

  /** Brings a candidate with the same fault to traffic by a peer, and measures the same. What it comes to is not for us to judge. */
  async compare(name: string, peerName: PeerName): Promise<RehearsalResult> {
    const { configuration, say, stage } = this.setting
    const fault = faultOf(name)
    const mark = `${name}-${peerName}-${newId(Date.now())}`
    say(`The same with ${peerName}: ${fault.what}`)
    const peer = await begin(peerName, {
      ...{ admin: stage.admin, environment: this.environment, placement: this.settings },
      ...{ analysis: configuration.analysis, secrets: this.secretFiles() },
      image: await this.plain(),
      publish: (image, repository) => stage.publish(image, repository),
    })
    const made = await this.candidate(fault, mark, peers.host)
    const { namespace, revision } = peers
    const where = { namespace, revision, service: peer.service }
    const recording = await this.record(mark, peers.host, where, async () => {
      const snapshots = await peers.change(stage.admin, peer, made, fault.variables ?? {})
      if (name !== "none") await monotonic.pause(attention)
      return snapshots
    })
    await peers.remove(stage.admin)
    return { fault: name, strategy: peerName, figures: measure(recording), unmet: [], message: "" }
  }

  /** Does something under load, and keeps what was seen. */
  private async record(
    mark: string,
    host: string,
    traffic: { namespace: string; revision: number; service: string },
    act: () => Promise<RolloutSnapshot[]>,
  ): Promise<Recording> {
    const { rate, service, stage } = this.setting
    const source = new PodMetrics(new ClusterPods(stage.admin))
    const paths = addresses[service] ?? this.settings.probe
    let snapshots: RolloutSnapshot[] = []
    const load = await underLoad(
      { id: mark, cluster: stage.cluster.service, host, paths, rate },
      stage.admin,
      async () => (await source.sample({ ...traffic, role: "stable" })).requests >= rate / 2,
      async () => {
        snapshots = await act()
      },
    )
    return { ...load, snapshots, mark }
  }

  /** What a deploy would put into the service's Secret. */
  private secretFiles(): Record<string, string> {
    const given = this.setting.stage.secrets
    const files = this.settings.secrets.map(({ variable, entry }) => [variable.toLowerCase(), given[entry]])
    return Object.fromEntries(files.filter(([, value]) => value !== undefined)) as Record<string, string>
  }

  /** The image as it is built from source, in the registry. */
  private async plain(): Promise<string> {
    const { stage } = this.setting
    return stage.publish(await stage.image())
  }

  /** The image with its mark and its fault, in the registry. */
  private async candidate({ planted, image, around }: Fault, mark: string, host: string): Promise<string> {
    const { rate, stage, planted: program } = this.setting
    const { replicas } = this.settings.workload
    const made = plant(await stage.image(), program, {
      REHEARSAL_MARK: mark,
      REHEARSAL_FAULT: planted ?? "",
      REHEARSAL_HOST: host,
      // Between what a pod has with half of all requests, and with all of them.
      REHEARSAL_BUSY: String((0.75 * rate) / replicas.min),
      ...(around?.kind === "clock" && { TZ: around.zone }),
    })
    const published = await stage.publish(image === "ends at once" ? made.withEntrypoint(["false"]) : made)
    return image === "is not there" ? published.replace(/[0-9a-f]{64}$/, "0".repeat(64)) : published
  }

  private get host(): string {
    return this.settings.hostnames[0] ?? ""
  }

  /** Gives the command, and does to it what the rehearsal is about. */
  private async act(around: Around | undefined, wish: Wish, witness: Witness): Promise<string> {
    const { admin } = this.setting.stage
    const command = async (cluster?: KubernetesApi) =>
      said(this.command(wish, cluster ?? (await this.connect())))
    switch (around?.kind) {
      case undefined:
        return command()
      case "killed": {
        const { cluster, kill } = mortal(await this.connect())
        // It says nothing any more: nobody waits for it.
        void command(cluster)
        await witness.until(around.at)
        kill()
        if (around.resumed) return command()
        await witness.until("aborting")
        return "the watch took traffic back"
      }
      case "two deployers": {
        const first = command()
        await witness.until("preparing")
        const second = await command()
        if (!second.includes("is being deployed by"))
          throw new Error(`a second deploy was not refused: ${second}`)
        return first
      }
      case "no API": {
        const line = await Line.to(await this.setting.stage.cluster.api())
        const done = command(await this.connect(line.address))
        await witness.until(around.at)
        line.cut()
        await monotonic.pause(around.seconds * 1000)
        await line.mend()
        const text = await done
        line.cut()
        return text
      }
      case "API killed": {
        const image = await this.plain()
        const done = command()
        await witness.until(around.at)
        await killApiServer(admin, image)
        return done
      }
      case "no room": {
        const nodes = await admin.list("v1", "Node", "")
        const cordon = (unschedulable: boolean) =>
          Promise.all(nodes.map((node) => admin.merge(node, { spec: { unschedulable } })))
        await cordon(true)
        try {
          return await command()
        } finally {
          await cordon(false)
        }
      }
      case "clock": {
        const { TZ } = process.env
        process.env.TZ = around.zone
        try {
          return await command()
        } finally {
          if (TZ === undefined) delete process.env.TZ
          else process.env.TZ = TZ
        }
      }
    }
  }

  /** A connection with the rights of whoever deploys. */
  private async connect(address?: string): Promise<KubernetesClient> {
    return KubernetesClient.connect(await this.setting.stage.deployer(address))
  }

  private async command(wish: Wish, cluster: KubernetesApi): Promise<string> {
    const { image, strategy } = wish
    const { components, delivery } = await this.open(wish, cluster)
    return deploy(delivery, components([], { strategy }), {
      release: { schemaVersion: 1, images: { [this.setting.service]: { reference: image } } },
      reason: "rehearsal",
      author: delivery.who,
      override: "",
    })
  }

  /** The environment with the rehearsed service alone. */
  private async open(
    { variables, analysis }: Pick<Wish, "variables" | "analysis">,
    cluster: KubernetesApi,
  ): Promise<OpenEnvironment> {
    const { configuration, service, stage, watch, say } = this.setting
    const { environment } = this
    const there = environment.services[service]
    const services = {
      [service]: { ...there, hostnames: [this.host], variables: { ...there?.variables, ...variables } },
    }
    return openEnvironment({
      configuration: { ...configuration, analysis: { ...configuration.analysis, ...analysis } },
      environment: { ...environment, services },
      cluster,
      who: await cluster.whoAmI(),
      watchdog: watch,
      secrets: stage.secrets,
      metrics: () => new PodMetrics(new ClusterPods(cluster)),
      sinks: [],
      clock: monotonic,
      say,
    })
  }
}

/** Puts a program into an image that Python runs before the service. */
function plant(image: Container, program: File, variables: Record<string, string>): Container {
  const folder = "/opt/rehearsal"
  return Object.entries(variables)
    .reduce((told, [name, value]) => told.withEnvVariable(name, value), image)
    .withFile(`${folder}/sitecustomize.py`, program, { permissions: 0o644 })
    .withEnvVariable("PYTHONPATH", `${folder}:$PYTHONPATH`, { expand: true })
}

/** What a command said at its end, whatever that was. */
async function said(command: Promise<string>): Promise<string> {
  try {
    return await command
  } catch (error) {
    return (error as Error).message
  }
}
