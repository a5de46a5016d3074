import { readFile } from "node:fs/promises"
import { join } from "node:path"
import { describe, expect, it } from "vitest"
import { parse } from "yaml"
import { githubEntries } from "../../src/attestations/entries.js"
import { daggerw, repository } from "./daggerw.js"

interface Step {
  id?: string
  name?: string
  if?: string
  uses?: string
  run?: string
  with?: Record<string, unknown>
  env?: Record<string, string>
}
interface Workflow {
  permissions: Record<string, string>
  jobs: Record<
    string,
    { name: string; if?: string; permissions?: Record<string, string>; environment?: string; steps: Step[] }
  >
}
interface Action {
  runs: { steps: Step[] }
}

const read = (path: string) => readFile(join(repository, path), "utf8")
const workflow = parse(await read(".github/workflows/pipeline.yml")) as Workflow
const training = parse(await read(".github/workflows/train.yml")) as Workflow
const files = [
  ".github/workflows/pipeline.yml",
  ".github/workflows/train.yml",
  ".github/actions/gates/action.yml",
  ".github/actions/deploy/action.yml",
  ".github/actions/cluster/action.yml",
]
const actions = await Promise.all(files.slice(2).map(async (file) => parse(await read(file)) as Action))
const steps = [
  ...[workflow, training].flatMap(({ jobs }) => Object.values(jobs)).flatMap((job) => job.steps),
  ...actions.flatMap(({ runs }) => runs.steps),
]

/** What a step would type, as words. */
const calls = steps
  .flatMap(({ run = "" }) => run.split("\n"))
  .filter((line) => line.startsWith("./daggerw "))
  .map((line) => (line.match(/(?:[^\s"]|"[^"]*")+/g) ?? []).map((word) => word.replaceAll('"', "")).slice(1))

/** The function of the module that a call runs. */
const functionOf = (words: string[]) =>
  words.find((word) =>
    [
      "report",
      "ci",
      "publish",
      "record-checks",
      "deploy",
      "audits",
      "verify-backup",
      "backup",
      "drift",
      "train",
    ].includes(word),
  ) ?? words.join(" ")

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

  it("does in one call each what a laptop does: the gates, the release, and the deploy", () => {
    expect(calls.map(functionOf)).toEqual([
      "publish",
      "record-checks",
      "verify-backup",
      "backup",
      "drift",
      "train",
      "report",
      "ci",
      "deploy",
      "audits",
    ])
    expect(Object.keys(workflow.jobs)).toEqual([
      "pipeline",
      "release",
      "verdict",
      "staging",
      "production",
      "backups",
      "codeql",
    ])
  })

  it("builds images once: a deploy takes the release and neither builds nor runs gates", async () => {
    const deploy = await read(".github/actions/deploy/action.yml")
    expect(deploy).toContain("--release release.json")
    expect(deploy).not.toMatch(/--registry|call ci|call report|publish --/)
    for (const name of ["staging", "production"]) {
      const used = workflow.jobs[name]?.steps.map(({ uses }) => uses ?? "") ?? []
      expect(used).toEqual([expect.stringMatching(/^actions\/checkout@/), "./.github/actions/deploy"])
    }
  })

  it("shows the audits of web apps also after a deploy that was refused, and keeps them with their pictures", () => {
    const steps = actions[1]?.runs.steps ?? []
    const at = steps.findIndex(({ id }) => id === "audits")
    expect(steps[at - 1]?.name).toBe("Deploy")
    expect(steps[at]?.if).toBe("${{ !cancelled() }}")
    const [shown, kept, ...others] = steps.slice(at + 1)
    expect(others).toEqual([])
    expect(shown?.run).toBe('cat audits/summary.md >> "$GITHUB_STEP_SUMMARY"')
    expect(kept?.with).toMatchObject({ name: "audits-${{ inputs.environment }}", path: "audits" })
    for (const step of [shown, kept])
      expect(step?.if).toBe("${{ !cancelled() && steps.audits.outcome == 'success' }}")
  })

  it("takes the authors of a deploy from git's whole history, and not from who pressed the button", () => {
    for (const name of ["staging", "production"])
      expect(workflow.jobs[name]?.steps[0]?.with).toMatchObject({ "fetch-depth": 0 })
    const deploy = actions[1]?.runs.steps.find(({ name }) => name === "Deploy")
    expect(deploy?.env).not.toHaveProperty("AUTHOR")
    // A push has no such author; a run by hand adds one.
    expect(deploy?.env?.STARTED_BY).toMatch(/workflow_dispatch.* && github\.triggering_actor \|\| ''/)
    const publish = workflow.jobs.release?.steps.find(({ name }) => name === "Publish")
    expect(publish?.env?.AUTHORS).toContain("github.event.commits.*.author.username")
  })

  it("separates the caches of what is not merged, and publishes with those that the gates of main used", async () => {
    const gates = await read(".github/actions/gates/action.yml")
    expect(gates).toContain("CACHES: ${{ github.ref == 'refs/heads/main' && 'main' || 'unmerged' }}")
    const cachesOf = (name: string) =>
      calls.filter((words) => functionOf(words) === name).map((words) => words[words.indexOf("--caches") + 1])
    expect([cachesOf("report"), cachesOf("publish")]).toEqual([["$CACHES"], ["main"]])
  })

  it("pins every action by its commit, and says which version that is", async () => {
    const texts = await Promise.all(files.map(read))
    const uses = texts.flatMap((text) => [...text.matchAll(/uses: (.*)/g)].map(([, what = ""]) => what))
    expect(uses.length).toBe(steps.filter(({ uses: used }) => used).length)
    for (const what of uses.filter((used) => !used.startsWith("./"))) {
      expect(what).toMatch(/^[\w-]+\/[\w/-]+@[0-9a-f]{40} # v\d/)
    }
  })

  it("may do nothing by default, and each job no more than it names", () => {
    const { release, verdict, staging, production, backups, ...others } = workflow.jobs
    expect(workflow.permissions).toEqual({})
    for (const { permissions, environment } of Object.values(others)) {
      expect(permissions).toEqual({ contents: "read", "security-events": "write" })
      expect(environment).toBeUndefined()
    }
    expect(release?.permissions).toEqual({
      contents: "read",
      "security-events": "write",
      packages: "write",
      "id-token": "write",
    })
    // The job with CI's identity runs no gate.
    expect(verdict?.permissions).toEqual({ contents: "read", "id-token": "write" })
    expect(JSON.stringify(verdict)).not.toContain("actions/gates")
    // It reads with a role of the cloud, and waits for nobody.
    expect(backups?.permissions).toEqual({ contents: "read", "id-token": "write" })
    expect(backups?.environment).toBe("${{ matrix.environment }}-backups")
    for (const job of [staging, production]) {
      expect(job?.permissions).toEqual({ actions: "read", contents: "read", "id-token": "write" })
    }
  })

  it("signs only for a push to main, with a right of its own and no other, in the one step that publishes", async () => {
    const { release } = workflow.jobs
    expect(release?.if).toBe("${{ github.event_name == 'push' && github.ref == 'refs/heads/main' }}")
    expect(release?.environment).toBe("main")
    // The others have it to sign in to the cloud, and none of them pushes.
    const rights = [workflow, training].flatMap(({ jobs }) => Object.entries(jobs))
    const having = (right: string) =>
      rights.flatMap(([name, { permissions }]) => (permissions?.[right] === "write" ? [name] : []))
    expect(having("id-token")).toEqual(["release", "verdict", "staging", "production", "backups", "train"])
    expect(having("packages")).toEqual(["release"])
    const written = rights.flatMap(([, { permissions = {} }]) =>
      Object.entries(permissions).flatMap(([right, access]) => (access === "write" ? [right] : [])),
    )
    // Signatures are in the registry: GitHub's own attestations, releases and code need no right.
    expect(new Set(written)).toEqual(new Set(["security-events", "packages", "id-token"]))
    const entries = Object.values(githubEntries)
    const naming = steps.filter((step) => entries.some((entry) => JSON.stringify(step).includes(entry)))
    expect(naming.map(({ name }) => name)).toEqual(["Publish", "Run the gates"])
    const [publish, gates] = naming
    for (const entry of entries) expect(publish?.run).toContain(` ${entry} "$${entry}"`)
    // Before the engine starts, which runs the code of the gates.
    expect(gates?.run?.split("\n")[0]).toBe(`unset ${entries.join(" ")}`)
    expect(JSON.stringify({ ...gates, run: gates?.run?.split("\n").slice(1) })).not.toContain(entries[0])
    // Who must have signed, as it is documented, is this very workflow.
    expect(await read("docs/images.md")).toContain("/.github/workflows/pipeline.yml@refs/heads/main")
  })

  it("gives the secrets of an environment to its own deploy and to nothing else", () => {
    for (const [name, job] of Object.entries(workflow.jobs)) {
      const secrets = [...JSON.stringify(job).matchAll(/secrets\.([A-Z0-9_]+)/g)].map(
        ([, secret = ""]) => secret,
      )
      const foreign = secrets.filter(
        (secret) => /^(STAGING|PRODUCTION)_/.test(secret) && !secret.startsWith(`${name.toUpperCase()}_`),
      )
      expect(foreign, name).toEqual([])
      if (name === "pipeline" || name === "codeql") expect(secrets, name).toEqual([])
      expect(JSON.stringify(job)).not.toContain("secrets[")
    }
    // Whoever has it can make passes for gates that never ran.
    const signing = Object.entries(workflow.jobs).filter(([, job]) =>
      JSON.stringify(job).includes("PASSES_SIGNING_KEY"),
    )
    expect(signing.map(([name, { environment }]) => [name, environment])).toEqual([["release", "main"]])
  })

  it("is what the branch needs to be merged into", async () => {
    const { rules } = JSON.parse(await read(".github/rulesets/main.json")) as {
      rules: { type: string; parameters?: { required_status_checks?: { context: string }[] } }[]
    }
    const checks = rules.flatMap(({ parameters }) => parameters?.required_status_checks ?? [])
    const names = Object.values(workflow.jobs).map(({ name }) => name.replace(/ .*/, ""))
    const required = new Set(checks.map(({ context }) => context.replace(/ .*/, "")))
    expect(required).toEqual(new Set(["pipeline", "codeql"]))
    expect(names).toEqual(expect.arrayContaining([...required]))
  })
})
