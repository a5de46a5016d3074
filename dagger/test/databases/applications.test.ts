import { describe, expect, it } from "vitest"
import {
  applicationArguments,
  applicationContainers,
  applicationNames,
  applicationPattern,
  applicationsBeside,
  type ServingRevision,
} from "../../src/databases/applications.js"
import { settings } from "./fixtures.js"

const image = (letter: string) => `registry.example.com/api@sha256:${letter.repeat(64)}`
const revision = (number: number, letter: string, outcome?: ServingRevision["outcome"]): ServingRevision => ({
  number,
  image: image(letter),
  configMap: `api-${number}`,
  ...(outcome && { outcome }),
})
const old = [
  { revision: 3, image: image("c"), configMap: "api-3" },
  { revision: 2, image: image("b"), configMap: "api-2" },
]
const serving = { old, new: { image: image("d"), configMap: "recipes-migrate-1" } }

describe("applicationsBeside", () => {
  it("are the images of all kept revisions, each once, by its newest one", () => {
    const kept = [revision(1, "b"), revision(3, "c", "promoted"), revision(2, "b", "promoted")]
    expect(applicationsBeside(kept, image("d"))).toEqual(old)
  })

  it("are without revisions that were taken back, and with those whose rollout is under way", () => {
    const kept = [revision(4, "e", "aborted"), revision(3, "c"), revision(2, "b", "promoted")]
    expect(applicationsBeside(kept, image("d"))).toEqual(old)
  })

  it("are without the image that migrates", () => {
    expect(applicationsBeside([revision(3, "c")], image("c"))).toEqual([])
    expect(applicationsBeside([], image("c"))).toEqual([])
  })
})

describe("the containers of applications", () => {
  const containers = applicationContainers(settings(), serving, 5433)
  const variables = containers.map(({ env = [] }) =>
    Object.fromEntries(env.map(({ name, value }) => [name, value])),
  )

  it("run what their images say, each with the variables of its revision, at a port of its own", () => {
    expect(containers.map((one) => [one.name, one.image, one.envFrom?.[0]?.configMapRef?.name])).toEqual([
      ["new", image("d"), "recipes-migrate-1"],
      ["revision-3", image("c"), "api-3"],
      ["revision-2", image("b"), "api-2"],
    ])
    expect(variables.map(({ PORT }) => PORT)).toEqual(["8101", "8102", "8103"])
    for (const { command, args, restartPolicy } of containers)
      expect({ command, args, restartPolicy }).toEqual({ restartPolicy: "Always" })
    for (const { name } of containers)
      expect(name).toMatch(new RegExp(`^(${applicationNames.new}|${applicationNames.old})$`))
  })

  it("reach the copy, and neither the live database, nor Redis, nor a secret", () => {
    for (const own of variables)
      expect(own).toMatchObject({
        DATABASE_URL: "postgresql://postgres@127.0.0.1:5433/pitwall_copy_applications",
        REDIS_URL: "redis://127.0.0.1:1",
        HOST: "127.0.0.1",
      })
    for (const { volumeMounts = [] } of containers)
      expect(volumeMounts.map(({ mountPath, name }) => [mountPath, name])).toEqual([["/tmp", "serving"]])
  })

  it("have the least rights, and the memory of the service's pods", () => {
    for (const { securityContext, resources } of containers) {
      expect(securityContext).toMatchObject({
        readOnlyRootFilesystem: true,
        allowPrivilegeEscalation: false,
        capabilities: { drop: ["ALL"] },
      })
      expect(resources).toEqual({ requests: { cpu: "10m", memory: "192Mi" }, limits: { memory: "384Mi" } })
    }
  })

  it("are named to the command where they listen", () => {
    const words = applicationArguments(serving)
    expect(words).toEqual([
      ...["--new-application", "http://127.0.0.1:8101"],
      ...["--old-application", "revision-3=http://127.0.0.1:8102"],
      ...["--old-application", "revision-2=http://127.0.0.1:8103"],
    ])
    for (const word of words.filter((one) => !one.startsWith("--")))
      expect(word).toMatch(new RegExp(`^${applicationPattern}$`))
    for (const other of ["http://127.0.0.1:80", "http://10.0.0.1:8101", "x=http://127.0.0.1:8101"])
      expect(other).not.toMatch(new RegExp(`^${applicationPattern}$`))
  })
})
