// The images that must stay in their registry because of an environment.
import { afterEach, describe, expect, it } from "vitest"
import { auditLabels } from "../../src/delivery/audit.js"
import { knownImages } from "../../src/environments/images.js"
import { FakePlatform } from "../delivery/fake-platform.js"
import { removeBuilds } from "../frontends/fixtures.js"
import { WebPlatform } from "../frontends/platform.js"

afterEach(removeBuilds)

const digest = (letter: string) => `sha256:${letter.repeat(64)}`

describe("the images that an environment uses", () => {
  it("are those of every revision, and those that its history names", async () => {
    const platform = new FakePlatform()
    await platform.deploy("a")
    await platform.deploy("b")
    const found = await platform.command().opened.imagesInUse()
    expect(found).toContainEqual({ digest: digest("a"), use: "revision 1 of backend api in staging" })
    expect(found).toContainEqual({ digest: digest("b"), use: "revision 2 of backend api in staging" })
    expect(found).toContainEqual({ digest: digest("a"), use: "the history of staging" })
    expect(found.map((one) => one.digest)).not.toContain(digest("c"))
  })

  it("are those of web apps that a rollback may go to", async () => {
    const platform = new WebPlatform()
    await platform.deployWeb("a")
    await platform.deployWeb("b")
    const found = await platform.web().opened.imagesInUse()
    expect(found).toContainEqual({ digest: digest("a"), use: "revision 1 of frontend web in staging" })
    expect(found).toContainEqual({ digest: digest("b"), use: "revision 2 of frontend web in staging" })
  })

  it("are those that are approved, and those that somebody asked to have approved", async () => {
    const platform = new FakePlatform()
    platform.verdict("a")
    platform.approve("a", "grace")
    await platform.deploy("a", { environment: "production" })
    platform.approve("b", "grace")
    await expect(platform.deploy("c", { environment: "production" })).rejects.toThrow()
    const found = await platform.command({ environment: "production" }).opened.imagesInUse()
    expect(found).toContainEqual({ digest: digest("b"), use: "the approval by-grace-b in production" })
    expect(found).toContainEqual({ digest: digest("c"), use: "the history of production" })
  })

  it("are not known where nothing is deployed, or where the history cannot be read", async () => {
    const platform = new FakePlatform()
    await expect(platform.command().opened.imagesInUse()).rejects.toThrow(
      "nothing is deployed to staging in this cluster",
    )
    await platform.deploy("a")
    platform.cluster.put({
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: "audit-of-tomorrow", namespace: "f1-staging", labels: { [auditLabels.kind]: "x" } },
      data: { entry: "{}" },
    })
    await expect(platform.command().opened.imagesInUse()).rejects.toThrow(
      /history of staging has entries that this version cannot read: audit-of-tomorrow/,
    )
  })

  it("are known to be none only where somebody says that nothing was ever deployed", async () => {
    const platform = new FakePlatform()
    const known = (undeployed: string[]) =>
      knownImages("staging", undeployed, () => platform.command().opened.imagesInUse())
    await expect(known(["production"])).rejects.toThrow(
      /it is not known which images staging uses, so nothing is removed: .*--undeployed staging/,
    )
    expect(await known(["staging"])).toEqual([])
    // It makes nothing else harmless.
    await platform.deploy("a")
    expect(await known(["staging"])).not.toEqual([])
    const forbidden = () => Promise.reject(new Error("forbidden"))
    await expect(knownImages("staging", ["staging"], forbidden)).rejects.toThrow(
      "it is not known which images staging uses, so nothing is removed: forbidden",
    )
  })
})
