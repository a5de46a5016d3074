import { describe, expect, it } from "vitest"
import { plan } from "../../src/delivery/executor.js"
import { commitOf, FakePlatform, image, releaseOf } from "./fake-platform.js"

const required = `
environments:
  staging:
    guards:
      signature: required
      signatures:
        identity: https://github.com/owner/repository/.github/workflows/pipeline.yml@refs/heads/main
        issuer: https://token.actions.githubusercontent.com
`
const digest = (letter: string) => `sha256:${letter.repeat(64)}`

describe("a deploy where signatures are required", () => {
  it("begins with an image that is signed and described, of the commit of its release", async () => {
    const platform = new FakePlatform()
    platform.commit(required)
    const asked: unknown[] = []
    platform.verify = (images, commit) => {
      asked.push([images, commit])
      return Promise.resolve({ [digest("a")]: [] })
    }
    await platform.deploy("a")
    expect(asked[0]).toEqual([[image("a")], commitOf("a")])
    expect(platform.traffic()).toEqual({ "api-1": 100 })
  })

  it("is refused with everything that the image lacks, and changes nothing", async () => {
    const platform = new FakePlatform()
    platform.commit(required)
    const faults = [
      "linux/arm64 sha256:0123456789ab: no SBOM in SPDX",
      "index sha256:0123456789ab: no signature",
    ]
    platform.verify = () => Promise.resolve({ [digest("a")]: faults })
    const reason = `no verified signature of api@sha256:aaaaaaaaaaaa: ${faults.join("; ")}`
    const command = platform.command()
    const planned = await plan(command, command.components, { release: releaseOf("a"), authors: [] })
    expect(planned.refusals).toEqual([{ guard: "signature", reason, overridable: true }])
    await expect(platform.deploy("a")).rejects.toThrow(reason)
    expect(platform.cluster.all("Deployment")).toEqual([])
    expect(platform.events.map(({ kind }) => kind)).toEqual(["refused"])
  })

  it("is refused when nothing was verified, and cannot be overridden by a deployer", async () => {
    const platform = new FakePlatform()
    platform.commit(required)
    await expect(platform.deploy("a")).rejects.toThrow("api@sha256:aaaaaaaaaaaa: it was not verified")
    await expect(platform.deploy("a", { override: "fixes the login, agreed with Ada" })).rejects.toThrow(
      /signature: .*it was not verified/,
    )
    expect(platform.cluster.all("Deployment")).toEqual([])
  })

  it("asks nobody where they are not required", async () => {
    const platform = new FakePlatform()
    platform.verify = () => Promise.reject(new Error("asked"))
    await platform.deploy("a")
    expect(platform.traffic()).toEqual({ "api-1": 100 })
  })
})
