import { describe, expect, it } from "vitest"
import { indexText } from "../../src/images/push.js"
import { settingDifferences } from "../../src/images/verify-build.js"
import type { ReproducibleImage } from "../../src/platform/reproducible.js"

describe("what differs in two configurations", () => {
  const configuration = {
    architecture: "amd64",
    config: { Env: ["A=1", "B=2"], Labels: { version: "1" } },
    rootfs: { diff_ids: ["sha256:1"] },
  }

  it("is nothing in equal ones, and nothing about layers, which are compared file by file", () => {
    expect(
      settingDifferences(configuration, { ...configuration, rootfs: { diff_ids: ["sha256:2"] } }),
    ).toEqual([])
  })

  it("is named, with both values", () => {
    const built = {
      architecture: "amd64",
      config: { Env: ["A=1"], Labels: { version: "2" }, User: "10001" },
      rootfs: {},
    }
    expect(settingDifferences({ ...configuration, created: "2026-01-02T03:04:05Z" }, built)).toEqual([
      'config.Env.1: published "B=2", built without',
      'config.Labels.version: published "1", built "2"',
      'config.User: published without, built "10001"',
      'created: published "2026-01-02T03:04:05Z", built without',
    ])
  })
})

it("lists platforms in one order, whoever names them", () => {
  const part = (digest: string, architecture: string) =>
    ({
      descriptor: { mediaType: "m", digest, size: 1, platform: { os: "linux", architecture } },
    }) as ReproducibleImage
  const [one, other] = [part("sha256:b", "amd64"), part("sha256:a", "arm64")]
  expect(indexText([one, other])).toBe(indexText([other, one]))
  expect(JSON.parse(indexText([one, other]))).toMatchObject({
    manifests: [{ digest: "sha256:a" }, { digest: "sha256:b" }],
  })
})
