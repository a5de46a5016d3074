import { dag, type Directory, type File, func, object, type Service } from "@dagger.io/dagger"
import { ThrowAwayCluster, kubeconfigOf } from "../platform/cluster/throw-away-cluster.js"
import { ThrowAwayRegistry } from "../platform/cluster/throw-away-registry.js"
import { images } from "../platform/base-images.js"

/** A throw-away Kubernetes cluster to try things on by hand. */
@object()
export class KubernetesCluster {
  private source: Directory
  private name: string

  constructor(source: Directory, name: string) {
    this.source = source
    this.name = name
  }

  /**
   * Runs the cluster until the call ends: its API on port 6443, its router on port 8080.
   *
   * Example: `./daggerw call cluster serve up`, and in another terminal `./daggerw call cluster kubeconfig export --path kubeconfig` and
   * `kubectl --kubeconfig kubeconfig get pods --all-namespaces`
   */
  @func({ cache: "never" })
  async serve(): Promise<Service> {
    const gatewayApi = this.source.file("dagger/config/kubernetes/gateway-api.yaml")
    const registry = await ThrowAwayRegistry.start(this.name)
    const token = await this.token()
    return (await ThrowAwayCluster.start({ name: this.name, gatewayApi, registry, token })).service
  }

  /**
   * Returns a kubeconfig with all rights on the cluster that `serve` runs.
   *
   * @param server Address of the cluster's API.
   */
  @func({ cache: "never" })
  async kubeconfig(server = "https://127.0.0.1:6443"): Promise<File> {
    const text = kubeconfigOf(this.name, server, await this.token())
    return dag.directory().withNewFile("kubeconfig", text, { permissions: 0o600 }).file("kubeconfig")
  }

  /** A random token that the engine remembers, so that `serve` and `kubeconfig` have the same one. With the official engine, `up` listens on every network interface. */
  private async token(): Promise<string> {
    const made = dag
      .container()
      .from(images.debian)
      .withEnvVariable("CLUSTER", this.name)
      .withExec(["sh", "-c", "od -An -N24 -tx1 /dev/urandom | tr -d ' \\n' > /token"])
    return made.file("/token").contents()
  }
}
