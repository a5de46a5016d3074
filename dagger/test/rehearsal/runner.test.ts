import { readFile } from "node:fs/promises"
import http from "node:http"
import type { AddressInfo } from "node:net"
import { afterEach, describe, expect, it } from "vitest"
import {
  backendSettings,
  deployFile,
  environmentOf,
  readDeploy,
} from "../../src/environments/configuration.js"
import type { KubernetesApi } from "../../src/clients/kubernetes/client.js"
import { comparisonsOf, rehearsalsOf } from "../../src/rehearsal/runner.js"
import { publicPath } from "../../src/backends/manifests/objects.js"
import { faultNames, faultOf } from "../../src/rehearsal/faults.js"
import { addresses, readRequests, readUnsent } from "../../src/rehearsal/load.js"
import { environmentName } from "../../src/rehearsal/rehearsal.js"
import { CuttableProxy, killable } from "../../src/rehearsal/fault-injection.js"

const read = (file: string) => readFile(new URL(`../../../${file}`, import.meta.url), "utf8")

describe("a request", () => {
  it("rehearses each fault with each strategy", () => {
    const rehearsals = rehearsalsOf({ faults: ["none", "latency"], strategies: ["canary", "blue-green"] })
    expect(rehearsals.map(({ fault, strategy }) => `${fault} ${strategy}`)).toEqual([
      "none canary",
      "none blue-green",
      "latency canary",
      "latency blue-green",
    ])
  })

  it("is refused for unknown names, with the known ones", () => {
    expect(() => rehearsalsOf({ faults: ["rain"], strategies: ["canary"] })).toThrow(
      `there is no fault "rain"; allowed: ${faultNames.join(", ")}`,
    )
    expect(() => rehearsalsOf({ faults: ["none"], strategies: ["hope"] })).toThrow(
      'there is no strategy "hope"; allowed: blue-green, canary',
    )
    expect(() => rehearsalsOf({ faults: [], strategies: [] })).toThrow("name at least one fault")
  })

  it("compares faults of the candidate, and refuses disruptions of the deploy", () => {
    expect(comparisonsOf({ faults: ["none", "latency"], peers: ["kubectl"] })).toEqual([
      { fault: "none", peer: "kubectl" },
      { fault: "latency", peer: "kubectl" },
    ])
    expect(() => comparisonsOf({ faults: ["none", "api-restart"], peers: ["flagger"] })).toThrow(
      '"api-restart" cannot be compared with flagger: it disrupts the deploy',
    )
  })

  it("allows lost requests only for faults with a time limit", () => {
    for (const name of faultNames) {
      for (const expected of Object.values(faultOf(name).expected)) {
        if (expected.lost !== "none") expect(expected.within, name).toBeGreaterThan(0)
      }
    }
  })

  it("asks a comparison where nothing else can tell a candidate from the stable revision", () => {
    for (const name of ["judged", "slower"] as const) {
      const { analysis } = faultOf(name)
      expect(analysis?.comparison).toMatchObject({ baseline: "fresh" })
      for (const { lost } of Object.values(faultOf(name).expected)) expect(lost).toBe("none")
    }
    const { slower, judged } = { slower: faultOf("slower"), judged: faultOf("judged") }
    expect(slower.analysis).toEqual(judged.analysis)
    expect(slower.expected).toMatchObject({
      canary: { outcome: "aborted" },
      "blue-green": { outcome: "promoted" },
    })
    expect(faultOf("none").analysis).toBeUndefined()
  })

  it("gives a comparison the points that it needs in each step", async () => {
    const texts = await Promise.all([read(deployFile), read("dagger/config/rehearsal.yaml")])
    const configuration = readDeploy(texts[0], { file: "rehearsal.yaml", text: texts[1] })
    const { interval, comparison } = { ...configuration.analysis, ...faultOf("slower").analysis }
    for (const step of environmentOf(configuration, environmentName).rollout.steps) {
      // The first look counts nothing, and one takes up to half a second more than it has to.
      expect(step.for / (interval + 0.5) - 1).toBeGreaterThanOrEqual(comparison?.points ?? Infinity)
    }
  })

  it("plants only faults that the program knows", async () => {
    const program = await read("dagger/config/rehearsal/planted.py")
    for (const name of faultNames) {
      const { planted } = faultOf(name)
      if (planted !== undefined) expect(program).toContain(`FAULT == "${planted}"`)
    }
  })
})

describe("the settings of rehearsals", () => {
  it("are those of deploy.yaml, with another router and shorter times", async () => {
    const [text, over] = await Promise.all([read(deployFile), read("dagger/config/rehearsal.yaml")])
    const configuration = readDeploy(text, { file: "rehearsal.yaml", text: over })
    const environment = environmentOf(configuration, environmentName)
    expect(environment.gateway).toEqual({
      name: "f1-staging",
      namespace: "router",
      class: "router",
      port: 8080,
    })
    const usual = environmentOf(readDeploy(text), environmentName)
    expect(environment.rollout.prePromotion).toBeLessThan(usual.rollout.prePromotion)
    for (const { service, workload } of backendSettings(configuration, environment, [])) {
      const paths = addresses[service] ?? []
      expect(paths.length).toBeGreaterThan(0)
      expect(paths.filter((path) => !path.startsWith(`${publicPath}/`))).toEqual([])
      expect(workload.volumes).toEqual([])
    }
  })
})

describe("the load's log", () => {
  it("is read line by line", () => {
    expect(readRequests("1795702289157 3 200 m1\n1795702289207 10001 0 \n")).toEqual([
      { at: 1795702289157, took: 3, status: 200, mark: "m1" },
      { at: 1795702289207, took: 10001, status: 0, mark: "" },
    ])
    expect(readRequests("")).toEqual([])
  })

  it("is refused when it says something else", () => {
    expect(() => readRequests("1795702289157 3 200 m1\npanic: out of tyres\n")).toThrow(
      "a line that is not a request: panic: out of tyres",
    )
  })

  it("tells how many requests were due and not sent", () => {
    expect(readUnsent('{"metrics": {"dropped_iterations": {"count": 7}}}')).toBe(7)
    expect(readUnsent('{"metrics": {}}')).toBe(0)
  })
})

describe("a command that is killed", () => {
  const asked: string[] = []
  const cluster = {
    now: () => 42,
    read: (thing: { kind: string }) => {
      asked.push(thing.kind)
      return Promise.resolve(thing)
    },
    delete: () => Promise.reject(new Error("no")),
  } as unknown as KubernetesApi

  it("sends requests before, and none after", async () => {
    const { cluster: seen, kill } = killable(cluster)
    expect(await seen.read({ kind: "Pod" })).toEqual({ kind: "Pod" })
    await expect(seen.delete({ kind: "Pod" })).rejects.toThrow("no")
    const late = seen.read({ kind: "Job" })
    kill()
    const heard = await Promise.race([late, seen.read({ kind: "Lease" }), Promise.resolve("silence")])
    expect(heard).toBe("silence")
    expect(asked).toEqual(["Pod", "Job"])
    expect(seen.now()).toBe(42)
  })
})

describe("a cuttable proxy", () => {
  let server: http.Server | undefined
  let proxy: CuttableProxy | undefined
  afterEach(() => {
    proxy?.cut()
    server?.close()
  })

  it("forwards until it is cut, and again after it is restored", async () => {
    server = http.createServer((_, answer) => answer.end("hello")).listen(0, "127.0.0.1")
    await new Promise((resolve) => server?.once("listening", resolve))
    proxy = await CuttableProxy.to(`127.0.0.1:${(server.address() as AddressInfo).port}`)
    const address = `http://${proxy.address}/`
    const ask = async () => (await fetch(address)).text()
    expect(await ask()).toBe("hello")
    proxy.cut()
    await expect(ask()).rejects.toThrow()
    await proxy.restore()
    expect(await ask()).toBe("hello")
  })
})
