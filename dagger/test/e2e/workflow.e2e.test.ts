import { readFile } from "node:fs/promises"
import { join } from "node:path"
import { describe, expect, it } from "vitest"
import { parse } from "yaml"
import { daggerw, repository } from "./daggerw.js"

interface Step {
  name?: string
  uses?: string
  run?: string
}
interface Workflow {
  permissions: Record<string, string>
  jobs: Record<string, { permissions?: Record<string, string>; environment?: string; steps: Step[] }>
}

const read = (path: string) => readFile(join(repository, path), "utf8")
const workflow = parse(await read(".github/workflows/pipeline.yml")) as Workflow
const steps = Object.values(workflow.jobs).flatMap((job) => job.steps)

/** What a step would type, as words. */
const calls = steps
  .flatMap(({ run = "" }) => run.split("\n"))
  .filter((line) => line.startsWith("./daggerw "))
  .map((line) => (line.match(/(?:[^\s"]|"[^"]*")+/g) ?? []).map((word) => word.replaceAll('"', "")).slice(1))

/** Asks for help behind a call's own words: its functions and arguments are looked up, and nothing runs. */
const understood = async (words: string[]) => (await daggerw([...words, "--help"]).ended).code === 0

describe("the workflow", () => {
  it("calls only what the module has, with arguments that it has", async () => {
    expect(calls.length).toBeGreaterThan(0)
    for (const words of calls) expect(await understood(words), words.join(" ")).toBe(true)
  })

  it("would be caught with a function or an argument that there is not", async () => {
    expect(await understood(["call", "pit-stop"])).toBe(false)
    expect(await understood(["call", "ci", "--tyres", "soft"])).toBe(false)
  })

  it("does in one call each what a laptop does: the gates, and the deploy", () => {
    expect(calls.map((words) => words.slice(0, 2).join(" "))).toEqual([
      "call report",
      "call ci",
      "call deploy",
    ])
    expect(Object.keys(workflow.jobs)).toEqual(["pipeline", "deploy", "codeql"])
  })

  it("pins every action by its commit, and says which version that is", async () => {
    const uses = [...(await read(".github/workflows/pipeline.yml")).matchAll(/uses: (.*)/g)].map(
      ([, what]) => what,
    )
    expect(uses.length).toBe(steps.filter(({ uses }) => uses).length)
    for (const what of uses) expect(what).toMatch(/^[\w-]+\/[\w/-]+@[0-9a-f]{40} # v\d/)
  })

  it("may do nothing by default, and each job no more than it names", () => {
    const { deploy, ...others } = workflow.jobs
    expect(workflow.permissions).toEqual({})
    for (const { permissions, environment } of Object.values(others)) {
      expect(permissions).toEqual({ contents: "read", "security-events": "write" })
      expect(environment).toBeUndefined()
    }
    expect(deploy?.permissions).toEqual({ contents: "read", packages: "write", "id-token": "write" })
  })

  it("gives the secrets of an environment to nothing but its deploy", () => {
    const holders = Object.entries(workflow.jobs).filter(([, job]) =>
      /secrets\[|JWT_SECRET_KEY|id-token/.test(JSON.stringify(job)),
    )
    expect(holders.map(([name]) => name)).toEqual(["deploy"])
  })

  it("is what the branch needs to be merged into", async () => {
    const { rules } = JSON.parse(await read(".github/rulesets/main.json")) as {
      rules: { type: string; parameters?: { required_status_checks?: { context: string }[] } }[]
    }
    const checks = rules.flatMap(({ parameters }) => parameters?.required_status_checks ?? [])
    const jobs = new Set(checks.map(({ context }) => context.split(" ")[0]))
    expect(jobs).toEqual(new Set(Object.keys(workflow.jobs).filter((job) => job !== "deploy")))
  })
})
