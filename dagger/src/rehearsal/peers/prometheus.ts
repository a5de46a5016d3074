import { stringify } from "yaml"
import { durationMetric, operatorRoutes, requestsMetric } from "../../backends/analysis/exposition.js"
import type { Rule } from "../../backends/analysis/rules.js"
import type { KubernetesApi } from "../../clients/kubernetes/client.js"
import { configuration, install, temporary } from "./controller.js"
import { namespace } from "./peer.js"

const name = "prometheus"
const port = 9090
/** Seconds between two scrapes of a pod. */
const interval = 1

export const prometheusAddress = `http://${name}.${name}:${port}`

/** Installs a Prometheus that scrapes the pods of peers. */
export async function installPrometheus(admin: KubernetesApi, image: string): Promise<void> {
  await install(admin, {
    name,
    image,
    args: [
      `--config.file=${configuration}/prometheus.yml`,
      `--storage.tsdb.path=${temporary}`,
      `--web.listen-address=:${port}`,
    ],
    ready: { path: "/-/ready", port },
    files: {
      "prometheus.yml": stringify({
        global: { scrape_interval: `${interval}s`, scrape_timeout: `${interval}s` },
        scrape_configs: [
          {
            job_name: "pods",
            kubernetes_sd_configs: [{ role: "pod", namespaces: { names: [namespace] } }],
            relabel_configs: [
              {
                source_labels: ["__meta_kubernetes_pod_annotation_prometheus_io_scrape"],
                action: "keep",
                regex: "true",
              },
              { source_labels: ["__meta_kubernetes_pod_name"], target_label: "pod" },
              {
                source_labels: ["__meta_kubernetes_pod_label_rollouts_pod_template_hash"],
                target_label: "hash",
              },
            ],
          },
        ],
      }),
    },
    objects: [
      {
        apiVersion: "v1",
        kind: "Service",
        metadata: { name, namespace: name },
        spec: { selector: { "app.kubernetes.io/name": name }, ports: [{ port }] },
      },
    ],
  })
}

/** The queries of all rules on requests; see {@link queryOf}. */
export function queriesOf(rules: Rule[], pods: string): { rule: Rule; query: string }[] {
  return rules.flatMap((rule) => {
    const query = queryOf(rule, pods)
    return query === undefined ? [] : [{ rule, query }]
  })
}

/**
 * Writes the query of a rule, in the unit of the rule: percent or milliseconds.
 *
 * @param pods selector of the pods' series, such as `hash="5d8f"`
 * @returns undefined for a rule that is not about requests
 */
export function queryOf(rule: Rule, pods: string): string | undefined {
  if (rule.metric === "failing-pods") return undefined
  const window = Math.max(rule.window ?? Math.ceil(rule.for / 3), 4 * interval)
  const users = `${pods},route!~"${operatorRoutes.join("|")}"`
  const rate = (series: string, selector: string) => `rate(${series}{${selector}}[${window}s])`
  if (rule.metric === "p95") {
    return `1000 * histogram_quantile(0.95, sum by (le) (${rate(`${durationMetric}_bucket`, users)}))`
  }
  const all = rate(`${requestsMetric}_total`, users)
  const errors = rate(`${requestsMetric}_total`, `${users},status=~"5.."`)
  // A series of errors only exists after the first error; its absence means zero.
  return `100 * (sum(${errors}) or vector(0)) / sum(${all})`
}
