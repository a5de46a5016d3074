// Rollbacks of a web app and of the backend that it calls, on a fake cluster: neither leaves the web app without what it calls.
import { afterEach, describe, expect, it } from "vitest"
import { rollback } from "../../src/delivery/executor.js"
import { refuseUnserved } from "../../src/delivery/rollback-contract.js"
import { image } from "../delivery/fake-platform.js"
import { apiOf, build, contractOf, recipesApi, removeBuilds } from "./fixtures.js"
import { WebPlatform } from "./platform.js"

afterEach(removeBuilds)

const pastaApi = apiOf("/api/pasta")
const bothApi = apiOf("/api/recipes", "/api/pasta")

/** The build of a letter that calls an API. */
async function calling(platform: WebPlatform, letter: string, api: string | undefined): Promise<void> {
  const { contract, ...made } = await build(letter)
  platform.builds.set(letter, { ...made, ...(api !== undefined && { contract: contractOf(api) }) })
  expect(contract).toBeDefined()
}

/** The build of an image that cannot be pulled. */
function unreadable(): Promise<never> {
  const failed = Promise.reject(new Error("401 Unauthorized"))
  failed.catch(() => undefined)
  return failed
}

const deployApi = (platform: WebPlatform, letter: string) =>
  platform.deploy(letter, {}, platform.command({ only: ["api"] }))
const api = (platform: WebPlatform) => platform.command({ only: ["api"] })

describe("a rollback of a web app", () => {
  /** Revisions 1 to 3, of which only the first calls what the backend serves no longer. */
  async function outgrown(more = ""): Promise<WebPlatform> {
    const platform = new WebPlatform(more)
    platform.apis.set("a", bothApi)
    await calling(platform, "a", pastaApi)
    for (const letter of ["a", "b", "c"]) await platform.deployWeb(letter)
    platform.apis.set("a", recipesApi)
    return platform
  }
  const refusal = new RegExp(
    `it cannot go back to revision 1: revision 1 of web needs the contract [0-9a-f]{12} of api, which ${image("a")} does not serve: GET /api/pasta is not there. To go on: `,
  )

  it("to what its backend serves no longer is refused, names a revision that fits, and changes nothing", async () => {
    const platform = await outgrown()
    const { text } = platform.pointers
    const refused = platform.rollback({ to: "1" }, platform.web())
    await expect(refused).rejects.toThrow(refusal)
    await expect(refused).rejects.toThrow(
      /To go on: revision 2 fits, with --to 2; deploy or take back the backend first; or go back all the same with --override "why"/,
    )
    expect(platform.pointers.text).toBe(text)
    expect(platform.state.running).toBeUndefined()
    expect(await platform.rollback({ to: "2" }, platform.web())).toMatch(/^web +promoted +2 /m)
    expect((await platform.history())[0]).not.toHaveProperty("overridden")
  })

  it("says so when no other revision fits", async () => {
    const platform = await outgrown()
    platform.apis.set("a", apiOf("/api/wine"))
    await expect(platform.rollback({}, platform.web())).rejects.toThrow(
      /revision 2 of web needs .* To go on: no other kept revision fits; /,
    )
  })

  it("goes all the same with a reason, which is recorded", async () => {
    const platform = await outgrown()
    const override = "pasta is not used by anybody"
    await expect(platform.rollback({ to: "1", override: "because" }, platform.web())).rejects.toThrow(
      /"because" is no reason to override a guard/,
    )
    expect(await platform.rollback({ to: "1", override }, platform.web())).toMatch(/^web +promoted +1 /m)
    expect((await platform.history())[0]).toMatchObject({
      action: "rollback",
      revision: 1,
      overridden: { reason: override, guards: ["contract"] },
    })
  })

  it("records nothing as overridden that did not have to be", async () => {
    const platform = await outgrown()
    await platform.rollback({ to: "2", override: "in case it is needed" }, platform.web())
    expect((await platform.history())[0]).not.toHaveProperty("overridden")
  })

  it.each<[string, (platform: WebPlatform) => unknown]>([
    ["what is served", (platform) => platform.apis.set("a", new Error("401 Unauthorized"))],
    ["what it calls", (platform) => platform.builds.set("b", unreadable())],
  ])("is refused where it is not known %s", async (_, lose) => {
    const platform = await outgrown()
    lose(platform)
    await expect(platform.rollback({ to: "2" }, platform.web())).rejects.toThrow(
      /it cannot go back to revision 2: .*not known.*401 Unauthorized/,
    )
    const override = "the registry is down, and so is the shop"
    expect(await platform.rollback({ to: "2", override }, platform.web())).toMatch(/^web +promoted +2 /m)
  })
})

describe("a rollback of a backend", () => {
  /** A web app whose revision 1 calls what both revisions of the backend serve, and whose revision 2 what the second does alone. */
  async function ahead(): Promise<WebPlatform> {
    const platform = new WebPlatform()
    platform.apis.set("b", bothApi)
    await calling(platform, "b", pastaApi)
    await platform.deployWeb("a")
    await deployApi(platform, "b")
    await platform.deployWeb("b")
    return platform
  }

  it("under a live web app that needs the newer contract is refused, and goes once the web app is back", async () => {
    const platform = await ahead()
    const refused = platform.rollback({}, api(platform))
    await expect(refused).rejects.toThrow(
      new RegExp(
        `it cannot go back to revision 1: revision 2 of web needs the contract [0-9a-f]{12} of api, which ${image("a")} does not serve: GET /api/pasta is not there. To go on: no other revision is kept; take the web app back first; or go back all the same with --override`,
      ),
    )
    expect(platform.traffic()).toEqual({ "api-2": 100 })
    expect(await platform.rollback({}, platform.web())).toMatch(/^web +promoted +1 /m)
    expect(await platform.rollback({}, api(platform))).toMatch(/^api +promoted +1 /m)
  })

  it("goes all the same with a reason, which is recorded", async () => {
    const platform = await ahead()
    const override = "half a shop is better than none"
    expect(await platform.rollback({ override }, api(platform))).toMatch(/^api +promoted +1 /m)
    expect((await platform.history())[0]).toMatchObject({
      revision: 1,
      overridden: { reason: override, guards: ["contract"] },
    })
  })

  it("is not held up by a web app that calls another backend", async () => {
    const platform = await ahead()
    const made = await build("b")
    platform.builds.set("b", { ...made, contract: contractOf(pastaApi, "f1-backend") })
    expect(await platform.rollback({}, api(platform))).toMatch(/^api +promoted +1 /m)
  })

  it.each([
    ["cannot be read", "unreadable", /not known what revision 2 of web calls: 401 Unauthorized/],
    ["does not say what it calls", "undeclared", /revision 2 of web does not say which API it calls/],
  ])("is refused where the web app %s", async (_, what, reason) => {
    const platform = await ahead()
    if (what === "unreadable") platform.builds.set("b", unreadable())
    else await calling(platform, "b", undefined)
    await expect(platform.rollback({}, api(platform))).rejects.toThrow(reason)
    expect(platform.traffic()).toEqual({ "api-2": 100 })
  })

  it("is refused where it is not known what the revision serves", async () => {
    const platform = await ahead()
    platform.apis.set("a", new Error("401 Unauthorized"))
    await expect(platform.rollback({}, api(platform))).rejects.toThrow(
      /it is not known what api in staging serves: 401 Unauthorized/,
    )
  })

  it("counts a web app whose deploy has not ended: a part of the visitors may have it", async () => {
    const platform = new WebPlatform("canary: [{ percent: 10, for: 60s }]")
    platform.apis.set("b", bothApi)
    await calling(platform, "b", pastaApi)
    await platform.deployWeb("a")
    await deployApi(platform, "b")
    const command = platform.web()
    void platform.deployWeb("b", command).catch(() => undefined)
    while (!platform.pointers.pointer?.canary) await platform.clock.pass(100)
    command.kill()
    await expect(platform.rollback({}, api(platform))).rejects.toThrow(/revision 2 of web needs the contract/)
  })
})

describe("a revision that fits", () => {
  const numbered = (...numbers: number[]) => numbers.map((number) => ({ number }))
  const refused = (others: { number: number }[], fits: number[], asked: number[] = []) =>
    refuseUnserved({ number: 1 }, others, {
      lacks: ({ number }) => {
        asked.push(number)
        return Promise.resolve(fits.includes(number) ? [] : ["web needs more", "shop too"])
      },
      first: "deploy the backend first",
      override: undefined,
    })

  it("is the newest, and no more images are read than it takes", async () => {
    const asked: number[] = []
    await expect(refused(numbered(7, 6, 5), [6, 5], asked)).rejects.toThrow(
      "it cannot go back to revision 1: web needs more; shop too. To go on: revision 6 fits, with --to 6; deploy the backend first; or go back all the same",
    )
    expect(asked).toEqual([1, 7, 6])
  })

  it("is looked for among few", async () => {
    await expect(refused(numbered(9, 8, 7, 6, 5, 4), [4])).rejects.toThrow(
      "none of the 5 newest other revisions fits",
    )
    await expect(refused(numbered(9), [])).rejects.toThrow("no other kept revision fits")
    await expect(refused([], [])).rejects.toThrow("no other revision is kept")
  })
})

describe("an override of a rollback", () => {
  it.each(["database", "model"] as const)("is not for a %s", async (kind) => {
    const platform = new WebPlatform()
    const [component] = api(platform).components
    if (!component) throw new Error("there is no api")
    const id = { value: { kind, name: "recipes" } }
    const other = Object.create(component, { id }) as typeof component
    await expect(
      rollback({ environment: "staging" }, [other], { reason: "x", override: "nobody has used it yet" }),
    ).rejects.toThrow(`--override is for backends and web apps, and ${kind} recipes is none of them`)
  })
})
