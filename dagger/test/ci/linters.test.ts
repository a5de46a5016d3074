import { spawnSync } from "node:child_process"
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { lintWorkflows, validateManifests } from "../../src/ci/gates/module.js"
import { lintDockerfiles } from "../../src/ci/gates/security.js"
import { images } from "../../src/platform/base-images.js"

const repository = new URL("../../../", import.meta.url)
const read = (path: string) => readFileSync(new URL(path, repository), "utf8")

// The very commands of the gates, with programs in place of the linters that note what they are asked.
let folder: string
const write = (path: string, text = "") => {
  mkdirSync(dirname(join(folder, path)), { recursive: true })
  writeFileSync(join(folder, path), text)
}
const linter = (name: string, code: number) => {
  write(`bin/${name}`, `#!/bin/sh\necho "${name} $*" >>'${folder}/asked'\nexit ${code}\n`)
  chmodSync(join(folder, "bin", name), 0o755)
}
const run = (script: string) => {
  const { status, stdout } = spawnSync("sh", ["-ec", script], {
    cwd: join(folder, "src"),
    encoding: "utf8",
    env: { ...process.env, PATH: `${join(folder, "bin")}:${process.env.PATH ?? ""}` },
  })
  const asked = join(folder, "asked")
  return { status, stdout, asked: existsSync(asked) ? readFileSync(asked, "utf8") : "" }
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "linters-"))
  mkdirSync(join(folder, "src"))
})
afterEach(() => {
  rmSync(folder, { recursive: true })
})

describe("module:workflow", () => {
  beforeEach(() => {
    linter("check-jsonschema", 0)
  })

  it.each([
    [0, 0, 0, 0],
    [11, 0, 0, 11],
    [0, 1, 0, 1],
    [14, 1, 0, 1],
    [0, 0, 2, 2],
  ])(
    "ends with zizmor %i, actionlint %i and check-jsonschema %i as %i, and all have run",
    (zizmor, actionlint, schemas, code) => {
      write("src/.github/workflows/a.yml")
      linter("zizmor", zizmor)
      linter("actionlint", actionlint)
      linter("check-jsonschema", schemas)
      const { status, asked } = run(lintWorkflows)
      expect(status).toBe(code)
      expect(asked).toMatch(
        /^zizmor --offline .*\.github\nactionlint .*\.github\/workflows\/a\.yml\ncheck-jsonschema .* vendor\.dependabot \.github\/dependabot\.yml\ncheck-jsonschema .* vendor\.renovate \.github\/renovate\.json\n$/,
      )
    },
  )

  it("gives actionlint every workflow, by both of the endings that GitHub reads", () => {
    for (const name of ["a.yml", "b.yaml", "c d.yml"]) write(`src/.github/workflows/${name}`)
    linter("zizmor", 0)
    linter("actionlint", 0)
    const { status, stdout, asked } = run(lintWorkflows)
    expect(status).toBe(0)
    expect(stdout).toBe("3 workflows, no findings\n")
    expect(asked).toMatch(/a\.yml .*c d\.yml .*b\.yaml\ncheck-jsonschema /)
  })

  it("fails without a workflow", () => {
    write("src/.github/CODEOWNERS")
    linter("zizmor", 0)
    linter("actionlint", 0)
    expect(run(lintWorkflows)).toMatchObject({ status: 1, stdout: "there is no workflow\n" })
  })
})

describe("module:manifests", () => {
  it.each([0, 1])("ends as kubeconform does: %i", (code) => {
    write("src/manifests/a.yaml")
    linter("kubeconform", code)
    const { status, asked } = run(validateManifests)
    expect(status).toBe(code)
    expect(asked).toMatch(/^kubeconform -strict .* manifests\n$/)
    expect(asked).not.toMatch(/ignore-missing|-skip/)
  })

  it("fails without a manifest", () => {
    mkdirSync(join(folder, "src/manifests"))
    linter("kubeconform", 0)
    expect(run(validateManifests)).toMatchObject({ status: 1, stdout: "there are no manifests\n", asked: "" })
  })
})

describe("security:dockerfiles", () => {
  it.each([0, 1])("ends as hadolint does, which gets every Dockerfile: %i", (code) => {
    for (const path of ["api/Dockerfile", "my dir/Dockerfile", "web/dev.Dockerfile", "web/Dockerfile.md"])
      write(`src/${path}`)
    linter("hadolint", code)
    const { status, asked } = run(lintDockerfiles)
    expect(status === 0).toBe(code === 0)
    for (const path of ["./api/Dockerfile", "./my dir/Dockerfile", "./web/dev.Dockerfile"])
      expect(asked).toContain(path)
    expect(asked).not.toContain(".md")
  })

  it("fails without a Dockerfile", () => {
    linter("hadolint", 0)
    expect(run(lintDockerfiles)).toMatchObject({ status: 1, stdout: "there is no Dockerfile\n", asked: "" })
  })
})

describe("linters from outside", () => {
  it("have pinned versions", () => {
    for (const image of [images.actionlint, images.kubeconform]) expect(image).toMatch(/:v?\d+\.\d+\.\d+@/)
    for (const tool of ["zizmor", "check-jsonschema", "hadolint", "kubeconform"])
      expect(read(`dagger/config/${tool}/requirements.txt`)).toMatch(
        /^[a-z][a-z-]*==[\d.]+ \\\n +--hash=sha256:/m,
      )
  })

  it("have no exception without its reason", () => {
    const rules = read(".github/zizmor.yml").split("\n")
    const exceptions = rules.flatMap((line, at) => (/^ +(disable|ignore):/.test(line) ? [at] : []))
    for (const at of exceptions) expect(rules[at - 1]).toMatch(/^ +# \S/)
    const files = [
      ...readdirSync(new URL(".github/", repository), { recursive: true, encoding: "utf8" }).map(
        (path) => `.github/${path}`,
      ),
      ...readdirSync(new URL("services/", repository)).map((service) => `services/${service}/Dockerfile`),
    ].filter((path) => /Dockerfile$|\.ya?ml$/.test(path) && existsSync(new URL(path, repository)))
    expect(files.length).toBeGreaterThan(5)
    expect(files.filter((path) => /hadolint (global )?ignore|zizmor: *ignore/.test(read(path)))).toEqual([])
  })
})
