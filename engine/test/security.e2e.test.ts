// The security gates, on a small platform with planted faults and a vulnerability database with planted advisories, which
// comes the way that a real one does: from a registry, by Trivy's own client.
import { randomUUID } from "node:crypto"
import { fileURLToPath } from "node:url"
import { connection, dag, type Directory, type Service } from "@dagger.io/dagger"
import { aroundAll, describe, expect, it } from "vitest"
import { type CompletedGate, runGate } from "../../dagger/src/ci/runner/run.js"
import { withNeeds } from "../../dagger/src/ci/gates/selection.js"
import { readPlatform } from "../../dagger/src/platform/platform.js"
import { imageGates } from "../../dagger/src/ci/gates/image.js"
import { securityGates, type SecurityOptions } from "../../dagger/src/ci/gates/security.js"
import type { Advisory } from "./fixtures/vulnerabilities/database.js"
import { registryWith } from "./fixtures/vulnerabilities/registry.js"

aroundAll((suite) => connection(suite))

const repository = fileURLToPath(new URL("../..", import.meta.url))
const hour = 3_600_000
const now = new Date()
const later = (hours: number) => new Date(now.getTime() + hours * hour)
const date = (time: Date) => time.toISOString().slice(0, 10)

/** What a test changes of the platform: files by path, and parts of security.yaml. */
interface Change {
  files?: Record<string, string>
  ignores?: object[]
  withoutDatabase?: "fail" | "warn"
  clarified?: object[]
}

const clarified = [
  { package: "pkg:pypi/text-unidecode", licence: "Artistic-2.0", reason: "one of two that it offers" },
]
const lock = {
  name: "platform",
  version: "1.0.0",
  lockfileVersion: 3,
  packages: {
    "": { name: "platform", version: "1.0.0", dependencies: { ms: "2.1.3" } },
    "node_modules/ms": {
      version: "2.1.3",
      integrity:
        "sha512-6FlzubTLZG3J2a/NVCAleEhjzq5oxgHyaCU9yYXvcLsvoVaHJq/s5xXI6/XXP6tz7R9xAOtHnSO/tXtF3WRTlA==",
      license: "MIT",
    },
  },
}
const dockerfile = `FROM python:3.11-slim-bookworm
COPY api/requirements.txt /app/
COPY api/src /app/src
USER 65532
HEALTHCHECK NONE
CMD ["python3", "-m", "app"]
`

/** A platform of one service, with this repository's own rules. */
function platformWith({
  files = {},
  ignores = [],
  withoutDatabase = "fail",
  ...change
}: Change = {}): Directory {
  const settings = {
    vulnerabilities: {
      database: "nowhere.invalid/trivy-db:2",
      "without-database": withoutDatabase,
      oldest: 7,
      block: ["critical", "high"],
    },
    configuration: { block: ["critical", "high", "medium"] },
    code: { block: ["critical", "high", "medium"] },
    licences: { allowed: ["MIT", "Artistic-2.0"], forbidden: ["GPL-*"], clarified, ...change },
    ignores,
  }
  const all = {
    "dagger/config/services.yaml": `defaults:
  coverage: { lines: 80, branches: 80 }
  load: { p95: 2000, errorRate: 1 }
  limits: { tool: 300, test: 900, ready: 120 }
services:
  api: { kind: python }
`,
    // Every JSON document is one of YAML.
    "dagger/config/security.yaml": JSON.stringify(settings),
    "services/package.json": JSON.stringify({
      name: "platform",
      version: "1.0.0",
      dependencies: { ms: "2.1.3" },
    }),
    "services/package-lock.json": JSON.stringify(lock),
    "services/api/Dockerfile": dockerfile,
    "services/api/requirements.txt": `text-unidecode==1.3 \\
    --hash=sha256:1311f10e8b895935241623731c2ba64f4c455287888b18189350b67134a822e8
`,
    "services/api/src/app.py": "print('hello')\n",
    "engine/go.mod": "module engine\n\ngo 1.25.0\n\nrequire golang.org/x/text v0.3.0\n",
    ...files,
  }
  const rules = dag.host().directory(`${repository}/dagger/config`, {
    include: ["semgrep", "bandit", "trivy"],
  })
  return Object.entries(all).reduce(
    (directory, [path, text]) => directory.withNewFile(path, text),
    dag.directory().withDirectory("dagger/config", rules),
  )
}

/** Runs gates of a platform; a retry that would change nothing does not wait. */
async function look(
  source: Directory,
  names: string[],
  options: SecurityOptions = {},
): Promise<CompletedGate[]> {
  const platform = await readPlatform(source)
  const images = Object.values(platform.catalog).flatMap((service) =>
    imageGates({ source, platform }, service),
  )
  const subjects = { source, platform, worktree: { files: () => Promise.resolve(source) } }
  const gates = withNeeds([...images, ...securityGates(subjects, { now, ...options })], names)
  return Promise.all(
    gates.filter(({ name }) => names.includes(name)).map((gate) => runGate(gate, () => Promise.resolve())),
  )
}

async function verdictOf(source: Directory, gate: string, options: SecurityOptions = {}) {
  const [ran] = await look(source, [gate], options)
  if (!ran) throw new Error(`there is no gate ${gate}`)
  return { ...ran.verdict, reports: ran.reports }
}

const critical: Advisory = {
  ...{ id: "CVE-2026-90001", ecosystem: "pip", package: "text-unidecode" },
  ...{ severity: "critical", fixed: "99.0" },
} as const
const high: Advisory = {
  ...{ id: "CVE-2026-90002", ecosystem: "npm", package: "ms" },
  ...{ severity: "high", fixed: "99.0.0" },
} as const
const medium: Advisory = {
  ...{ id: "CVE-2026-90003", ecosystem: "go", package: "golang.org/x/text" },
  ...{ severity: "medium", fixed: "0.99.0" },
} as const
const system: Advisory = {
  ...{ id: "CVE-2026-90004", ecosystem: "debian 12", package: "coreutils" },
  ...{ severity: "high", fixed: "99.0" },
} as const
const harmless: Advisory = { ...critical, id: "CVE-2026-90005", package: "not-installed-anywhere" }

/** A database of a name of its own, so that no test finds what another has kept. */
function published(advisories: Advisory[], name: string = randomUUID(), made = now, next = later(24)) {
  return {
    database: `registry.local:5000/${name}/trivy-db:2`,
    registry: registryWith(`${name}/trivy-db`, { advisories, made, next }),
  } satisfies { database: string; registry: Service }
}

const dependencies = "security:dependencies"
const ignoring = (id: string, expires: Date, more: object = {}) => ({
  ...{ id, gates: [dependencies], reason: "accepted by the test", expires: date(expires) },
  ...more,
})

describe("known vulnerabilities", () => {
  it("stop a change when they are critical or high, and are counted when they are medium", async () => {
    const { outcome, output, reports } = await verdictOf(
      platformWith(),
      dependencies,
      published([critical, high, medium]),
    )
    expect(outcome).toBe("failed")
    expect(output).toMatch(
      /^critical {2}CVE-2026-90001 {2}text-unidecode 1\.3 \(fixed in 99\.0\) {2}services\/api\/req/m,
    )
    expect(output).toMatch(
      /^high {2}CVE-2026-90002 {2}ms 2\.1\.3 \(fixed in 99\.0\.0\) {2}services\/package-lock\.json/m,
    )
    expect(output).not.toMatch(/^medium/m)
    // Its own three, and those of Semgrep and Bandit.
    expect(output).toMatch(/\d+ packages in 5 lock files/)
    expect(output).toContain("1 critical, 1 high, 1 medium")
    const sarif = await reports?.file("trivy.sarif").contents()
    expect(sarif).toContain("CVE-2026-90003")
  })

  it("let a change pass when they are medium", async () => {
    const { outcome, detail } = await verdictOf(platformWith(), dependencies, published([medium, harmless]))
    expect(outcome).toBe("passed")
    expect(detail).toMatch(/^\d+ packages in 5 lock files · database of \d{4}-.* UTC · 1 medium$/)
  })

  it("are ignored for a time: to the last day, for the package and the gate that is named", async () => {
    const source = platformWith({
      ignores: [
        ignoring(critical.id, later(48), { package: "pkg:pypi/text-unidecode" }),
        ignoring(high.id, later(480)),
        ignoring("CVE-2026-99999", later(480)),
      ],
    })
    const given = published([critical, high, medium])
    const before = await verdictOf(source, dependencies, given)
    expect(before.outcome).toBe("passed")
    expect(before.detail).toContain("1 medium · 2 ignored · the ignore of CVE-2026-99999 matches nothing")

    const after = await verdictOf(source, dependencies, { ...given, now: later(72) })
    expect(after.outcome).toBe("failed")
    expect(after.output).toContain(critical.id)
    expect(after.output).not.toMatch(/^high/m)
    expect(after.output).toContain(`the ignore of ${critical.id} expired on ${date(later(48))}`)
  })

  it("are looked for anew in a newer database, and not again in the same one", async () => {
    const name = randomUUID()
    const source = platformWith()
    const old = published([medium], name)
    expect((await verdictOf(source, dependencies, old)).outcome).toBe("passed")
    // The registry has a newer one, but it is not yet time to look.
    const newer = published([medium, high], name, later(1))
    const again = await verdictOf(source, dependencies, newer)
    expect(again).toMatchObject({ outcome: "passed", cached: true })
    const tomorrow = await verdictOf(source, dependencies, { ...newer, now: later(25) })
    expect(tomorrow.outcome).toBe("failed")
    expect(tomorrow.output).toContain(high.id)
  })

  it("are looked for in the database that is kept while its registry is away, until it is too old", async () => {
    const { database, registry } = published([medium])
    const source = platformWith()
    expect((await verdictOf(source, dependencies, { database, registry })).outcome).toBe("passed")
    expect(await verdictOf(source, dependencies, { database, now: later(48) })).toMatchObject({
      outcome: "passed",
      detail: expect.stringContaining(`database of ${date(now)}`) as string,
    })
    const { outcome, output } = await verdictOf(source, dependencies, { database, now: later(24 * 9) })
    expect(outcome).toBe("could not run")
    expect(output).toMatch(/no vulnerability database \(tried registry\.local.*is 9 days old, of 7 at most\)/)
  })

  it.each([
    ["fail", { outcome: "could not run" }, "output"],
    ["warn", { outcome: "skipped" }, "detail"],
  ] as const)("are not taken for absent without a database: %s", async (withoutDatabase, expected, where) => {
    const verdict = await verdictOf(platformWith({ withoutDatabase }), dependencies)
    expect(verdict).toMatchObject(expected)
    expect(verdict[where]).toMatch(
      /no vulnerability database \(tried nowhere\.invalid\/trivy-db:2: .*no such host/,
    )
  })
})

describe("the image", () => {
  it("is stopped by a vulnerable package of its system", async () => {
    const { outcome, output } = await verdictOf(platformWith(), "api:scan", published([system]))
    expect(outcome).toBe("failed")
    expect(output).toMatch(/^high {2}CVE-2026-90004 {2}coreutils \S+ \(fixed in 99\.0\)/m)
  })

  it("passes with what it holds counted", async () => {
    const { outcome, detail } = await verdictOf(platformWith(), "api:scan", published([harmless]))
    expect(outcome).toBe("passed")
    expect(detail).toMatch(/^\d+ system packages, \d+ of languages · database of .* · no findings$/)
  })

  it("is stopped by a secret in a layer, even without a database and where a later layer removes it", async () => {
    const token = ["ghp", "abcdefghijklmnopqrstuvwxyz0123456789"].join("_")
    const source = platformWith({
      withoutDatabase: "warn",
      files: {
        "services/api/Dockerfile": dockerfile.replace(
          "USER",
          `RUN echo ${token} > /app/token\nRUN rm /app/token\nUSER`,
        ),
      },
    })
    const { outcome, output } = await verdictOf(source, "api:scan")
    expect(outcome).toBe("failed")
    expect(output).toMatch(/github-pat/)
    expect(output).not.toContain(token)
  })

  it("is skipped, with what was looked at, where there is no database and that is to be", async () => {
    const verdict = await verdictOf(platformWith({ withoutDatabase: "warn" }), "api:scan")
    expect(verdict).toMatchObject({
      outcome: "skipped",
      detail: expect.stringMatching(/no vulnerability database .*; secrets in its layers: none$/) as string,
    })
  })
})

describe("a planted fault", () => {
  const gates = ["secrets", "config", "licences", "sast", "bandit"].map((name) => `security:${name}`)
  const outcomes = (ran: CompletedGate[]) =>
    Object.fromEntries(ran.map(({ verdict }) => [verdict.gate, verdict.outcome]))
  const all = (outcome: string) => Object.fromEntries(gates.map((gate) => [gate, outcome]))

  it("is none in the platform as it is", async () => {
    expect(outcomes(await look(platformWith(), gates))).toEqual(all("passed"))
  })

  const key = ["AKIA", "QWERTYUIOPASDFGH"].join("")
  const faults: { fault: string; gate: string; change: Change; words: string }[] = [
    {
      fault: "a secret in a file",
      gate: "security:secrets",
      change: { files: { "services/api/tests/settings.env": `AWS_ACCESS_KEY_ID=${key}\n` } },
      words: "services/api/tests/settings.env:1",
    },
    {
      fault: "a user root in a Dockerfile",
      gate: "security:config",
      change: { files: { "services/api/Dockerfile": dockerfile.replace("USER 65532\n", "") } },
      words: "DS002",
    },
    {
      fault: "a privileged service in a compose file",
      gate: "security:config",
      change: {
        files: { "services/compose.yaml": "services:\n  api: { image: 'api:1.0', privileged: true }\n" },
      },
      words: "api is privileged",
    },
    {
      fault: "a forbidden licence",
      gate: "security:licences",
      change: { clarified: [] },
      words: "GPL-2.0-or-later",
    },
    {
      fault: "SQL from strings",
      gate: "security:sast",
      change: {
        files: {
          "services/api/src/store.py": `from sqlalchemy import Connection, text


def empty(connection: Connection, table: str) -> None:
    connection.execute(text(f"TRUNCATE {table}"))
`,
        },
      },
      words: "services/api/src/store.py:5",
    },
    {
      fault: "HTML from text",
      gate: "security:sast",
      change: {
        files: {
          "services/web/src/Note.tsx":
            "export const Note = ({ text }: { text: string }) => <p dangerouslySetInnerHTML={{ __html: text }} />\n",
        },
      },
      words: "html-from-text",
    },
    {
      fault: "a file whose name others can take first",
      gate: "security:bandit",
      change: { files: { "services/api/src/place.py": "import tempfile\n\nplace = tempfile.mktemp()\n" } },
      words: "B306",
    },
  ]
  it.each(faults)("$fault is found by $gate and by no other", async ({ gate, change, words }) => {
    const ran = await look(platformWith(change), gates)
    expect(outcomes(ran)).toEqual({ ...all("passed"), [gate]: "failed" })
    const finding = ran.find(({ verdict }) => verdict.gate === gate)
    expect(finding?.verdict.output).toContain(words)
    expect(finding?.verdict.output).not.toContain(key)
    expect(await finding?.reports?.glob("*.sarif")).toHaveLength(1)
  })

  it("that a scanner cannot read is not taken for none", async () => {
    const [ran] = await look(platformWith({ files: { "services/api/src/broken.py": "def (:\n" } }), [
      "security:bandit",
    ])
    expect(ran?.verdict.outcome).toBe("could not run")
    expect(ran?.verdict.output).toContain("services/api/src/broken.py")
  })
})

describe("Snyk", () => {
  it("is skipped without a token, and says so", async () => {
    const verdict = await verdictOf(platformWith(), "security:snyk")
    expect(verdict).toMatchObject({ outcome: "skipped", detail: "no token SNYK_TOKEN was given" })
  })

  it("does not pass with a token that it does not take, and keeps it to itself", async () => {
    const token = randomUUID()
    const { outcome, output } = await verdictOf(platformWith(), "security:snyk", {
      snykToken: dag.setSecret(`snyk-${token}`, token),
    })
    expect(outcome).toBe("could not run")
    expect(output).not.toContain(token)
  })
})
