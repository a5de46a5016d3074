import { describe, expect, it } from "vitest"
import { full, needed, workload } from "./fixtures.js"

const but = (line: RegExp, replacement: string) => {
  expect(full).toMatch(line)
  return full.replace(line, replacement)
}

describe("workloadSection", () => {
  it("needs replicas and resources, and has what the backends need for the rest", () => {
    expect(workload(needed)).toEqual({
      replicas: { min: 2, max: 6, cpu: 70 },
      resources: { requests: { cpu: "250m", memory: "256Mi" }, limits: { memory: "512Mi" } },
      port: 8000,
      probes: {
        startup: { path: "/health/live", period: 2, timeout: 3, failures: 60 },
        liveness: { path: "/health/live", period: 10, timeout: 3, failures: 3 },
        readiness: { path: "/health/ready", period: 5, timeout: 3, failures: 2 },
      },
      termination: { preStop: 5, drain: 5, linger: 5, shutdown: 20, grace: 40 },
      minReady: 5,
      history: 5,
      environment: {},
      temporary: "64Mi",
      volumes: [],
      network: { from: [], to: [] },
      pullSecrets: [],
    })
  })

  it("takes numbers where Kubernetes takes text", () => {
    const { environment, resources } = workload(full)
    expect(environment).toEqual({ REDIS_URL: "redis://redis:6379/0", WORKER_THREADS: "20" })
    expect(resources.limits.cpu).toBe("1")
  })

  it("takes a part of a group, and has the rest of it", () => {
    const { probes } = workload(`${needed}\nprobes: { readiness: { period: 1s } }`)
    expect(probes.readiness).toEqual({ path: "/health/ready", period: 1, timeout: 3, failures: 2 })
    expect(probes.liveness.period).toBe(10)
  })

  it.each([
    ["no resources", /resources:.*/, "", /^deploy.yaml:1: resources: /m],
    [
      "fewer at most than at least",
      /max: 6/,
      "max: 1",
      "deploy.yaml:2: replicas.max: at least as many as min (found 1)",
    ],
    [
      "no request of CPU",
      /cpu: 250m, /,
      "",
      "deploy.yaml:3: resources.requests.cpu: an amount of CPU, such as 250m or 1.5",
    ],
    [
      "a word for CPU",
      /250m/,
      "lots",
      'resources.requests.cpu: an amount of CPU, such as 250m or 1.5 (found "lots")',
    ],
    ["no CPU at all", /250m/, "0m", "resources.requests.cpu: an amount of CPU"],
    [
      "memory without a unit",
      /512Mi/,
      "512",
      "resources.limits.memory: an amount of memory, such as 256Mi or 2Gi (found 512)",
    ],
    ["memory in CPU's units", /512Mi/, "512m", "resources.limits.memory: an amount of memory"],
    [
      "a limit below the request",
      /512Mi/,
      "200M",
      'deploy.yaml:3: resources.limits.memory: at least what is requested, 256Mi (found "200M")',
    ],
    [
      "less CPU than requested",
      /cpu: 1,/,
      "cpu: 100m,",
      "resources.limits.cpu: at least what is requested, 250m",
    ],
    [
      "a grace that is too short",
      /grace: 30s/,
      "grace: 23s",
      'deploy.yaml:4: termination.grace: longer than preStop 4s + drain 6s + linger 3s + shutdown 10s = 23s, or pods are killed with requests in flight (found "23s")',
    ],
    [
      "a number for a duration",
      /grace: 30s/,
      "grace: 30",
      "termination.grace: must be text, not a number (found 30)",
    ],
    ["a drain the service refuses", /drain: 6s/, "drain: 6m", "termination.drain: from 0s to 300s"],
    ["a shutdown of nothing", /shutdown: 10s/, "shutdown: 0s", "termination.shutdown: from 1s to 600s"],
    [
      "a variable in lower case",
      /REDIS_URL/,
      "redis_url",
      "environment.redis_url: a variable's name consists of capital letters, digits and _",
    ],
    [
      "a variable with another home",
      /REDIS_URL:/,
      "DRAIN_SECONDS:",
      "deploy.yaml:5: environment.DRAIN_SECONDS: must not be set here: it comes from termination.drain",
    ],
    [
      "a list for a variable",
      /WORKER_THREADS: 20/,
      "WORKER_THREADS: [20]",
      "a text, a number, true or false",
    ],
    [
      "a volume of both kinds",
      /size: 1Gi/,
      "size: 1Gi, claim: x",
      "volumes.1: either size, for an empty folder that goes with its pod, or claim",
    ],
    ["a volume of no kind", /, size: 1Gi/, "", "volumes.1: either size"],
    [
      "an empty folder that nothing can write to",
      /size: 1Gi/,
      "size: 1Gi, readOnly: true",
      "volumes.1.readOnly: for a claim: nothing could fill an empty folder",
    ],
    [
      "a volume over the secrets",
      /path: \/scratch/,
      "path: /run",
      'volumes.1.path: a path that leaves /run/secrets alone (found "/run")',
    ],
    ["a volume in /tmp", /path: \/scratch/, "path: /tmp/x", "volumes.1.path: a path that leaves /tmp alone"],
    ["a path that goes nowhere", /path: \/scratch/, "path: scratch", "volumes.1.path: an absolute path"],
    ["two volumes of one name", /name: scratch/, "name: models", "volumes.1.name: each name once"],
    ["two volumes at one path", /path: \/scratch/, "path: /models", "volumes.1.path: each path once"],
    [
      "a volume of a taken name",
      /name: scratch/,
      "name: tmp",
      "volumes.1.name: another name than tmp and secrets",
    ],
    [
      "a peer of two kinds",
      /namespace: router/,
      "namespace: router, cidr: 10.0.0.0/8",
      "network.from.0: either cidr",
    ],
    ["a peer that is anybody", /\{ namespace: router \}/, "{}", "network.from.0: either cidr"],
    [
      "an address for a range",
      /10\.1\.0\.0\/16/,
      "10.1.0.0",
      'network.to.0.cidr: a range of addresses, such as 10.0.0.0/16 (found "10.1.0.0")',
    ],
    ["a way out by every port", /ports: \[5432\]/, "ports: []", /network.to.0.ports: /],
    [
      "a privileged port",
      /pullSecrets:/,
      "port: 80\npullSecrets:",
      "port: from 1024 to 65535: it does not run as root",
    ],
    [
      "a key that there is not",
      /pullSecrets:/,
      "secrets: []\npullSecrets:",
      /no such key: secrets; allowed: replicas, /,
    ],
  ])("refuses %s", (_, line, replacement, message) => {
    expect(() => workload(but(line, replacement))).toThrow(message)
  })
})
