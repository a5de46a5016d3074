// An image built from source, pushed to a registry without the API for referrers, described and signed, and verified, by the commands of a user.
import { execFileSync } from "node:child_process"
import { generateKeyPairSync } from "node:crypto"
import { readFile, rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { connection } from "@dagger.io/dagger"
import { afterAll, aroundAll, beforeAll, describe, expect, it } from "vitest"
import type { Summary } from "../../src/ci/report/summary.js"
import { readRelease } from "../../src/delivery/release.js"
import { registryPort, ThrowAwayRegistry } from "../../src/platform/cluster/throw-away-registry.js"
import { copyOfTheRepository, daggerw } from "./daggerw.js"
import { Tunnels } from "./tunnels.js"

aroundAll((suite) => connection(suite))

const tunnels = new Tunnels()
let registry: ThrowAwayRegistry
/** A clone of the repository with a .env, as a user has one. */
let checkout: string
let commit: string
/** The image, by its digest. */
let image: string

const git = (...args: string[]) =>
  execFileSync("git", ["-c", "user.name=Dora", "-c", "user.email=dora@example.com", ...args], {
    cwd: checkout,
    encoding: "utf8",
  }).trim()

const write = (name: string, text: string | Buffer) => writeFile(join(checkout, name), text)

/** A report of gates for the commit. */
const report = (revision: string): Summary => {
  const none = { tests: 0, passed: 0, failed: 0, errors: 0, skipped: 0, flaky: 0 }
  return {
    schemaVersion: 1,
    outcome: "passed",
    conclusion: "Passed: all 2 gates.",
    started: "2026-11-29T10:00:00.000Z",
    seconds: 1,
    revision,
    gates: ["api:test", "security:secrets"].map((gate) => ({
      gate,
      on: "its source",
      outcome: "passed",
      seconds: 1,
      cached: false,
      retries: [],
      detail: "",
      output: "",
      failing: "",
      again: "",
      pictures: [],
    })),
    tests: none,
    failures: [],
    flaky: [],
    slowest: [],
    scans: [],
    problems: [],
  }
}

beforeAll(async () => {
  checkout = await copyOfTheRepository()
  git("init", "--quiet")
  git("add", "--all")
  git("commit", "--quiet", "--message", "feat: as it is")
  commit = git("rev-parse", "HEAD")
  registry = await ThrowAwayRegistry.start("images-test")
  // A service of a registry answers at the port of its address.
  const address = await tunnels.open(registry.service, registryPort, registryPort)
  const [key, other] = ["signing", "other"].map(() => generateKeyPairSync("ec", { namedCurve: "prime256v1" }))
  if (!key || !other) throw new Error("no keys")
  const pem = key.privateKey.export({ type: "pkcs8", format: "pem" })
  await write("signing.pub", key.publicKey.export({ type: "spki", format: "pem" }))
  await write("other.pub", other.publicKey.export({ type: "spki", format: "pem" }))
  await write("secrets.env", `SIGNING_KEY=${Buffer.from(pem).toString("base64")}\n`)
  await write("summary.json", JSON.stringify(report(commit)))
  await write("other-summary.json", JSON.stringify(report("e".repeat(40))))
  const entries = {
    SECRETS: `file://${join(checkout, "secrets.env")}`,
    REGISTRY: `localhost:${registryPort}`,
    REGISTRYSERVICE: `tcp://${address}`,
  }
  await write(
    ".env",
    Object.entries(entries)
      .map(([name, value]) => `${name}=${value}`)
      .join("\n"),
  )
  // What is beside the source must not make it another one.
  await write(".git/info/exclude", "*.pub\n*summary.json\n")
})

afterAll(async () => {
  await registry.stop()
  tunnels.close()
  await rm(checkout, { recursive: true, force: true })
})

const call = (...args: string[]) => daggerw(["--progress", "plain", "call", ...args], checkout).ended
const publish = (summary = "summary.json") =>
  call(
    "publish",
    "--only",
    "api",
    "--platform",
    "linux/amd64",
    "--from",
    summary,
    "export",
    "--path",
    "release.json",
  )
const verify = (...args: string[]) => call("verify", "--image", image, "--platform", "linux/amd64", ...args)

describe("an image", { timeout: 45 * 60_000 }, () => {
  let scanned: boolean

  it("is not signed with the report of another commit, and then nothing is built", async () => {
    const { code, stderr } = await publish("other-summary.json")
    expect(code).not.toBe(0)
    expect(stderr).toContain(`the report is about ${"e".repeat(40)}, and the release about ${commit}`)
  })

  it("is published with all that is said of it, and the release with a reference of its own", async () => {
    const { code, stderr } = await publish()
    expect(code, stderr.slice(-4_000)).toBe(0)
    const release = readRelease(await readFile(join(checkout, "release.json"), "utf8"))
    expect(release.commit).toBe(commit)
    image = release.images.api?.reference ?? ""
    scanned = !stderr.includes("The images get no vulnerability scan")
    expect(stderr).toContain(`api: signed by the key`)
    expect(stderr).toContain(`with ${scanned ? 6 : 5} new attestations`)
    expect(stderr).toMatch(new RegExp(`Release: localhost:${registryPort}/release@sha256:[0-9a-f]{64}`))
  })

  it("is verified by its key and its commit; without a database of vulnerabilities it lacks the scan and nothing else", async () => {
    const { code, stdout, stderr } = await verify("--public-key", "signing.pub", "--commit", commit)
    if (scanned) {
      expect(code, stderr.slice(-4_000)).toBe(0)
      expect(stdout).toContain(`${image} is verified: linux/amd64; built from ${commit} by`)
      expect(stdout).toContain("SLSA build level 1")
    } else {
      expect(code).not.toBe(0)
      const faults = stderr.match(/^.*linux\/amd64 sha256:.*$/gm) ?? []
      // A log and the error at its end say the same.
      expect([
        ...new Set(
          faults.map((line) =>
            line
              .replace(/ \[traceparent:.*$/, "")
              .replace(/.*: /, "")
              .trim(),
          ),
        ),
      ]).toEqual(["no vulnerability scan"])
    }
  })

  it("is refused by another key, for another commit and for a platform that it has not", async () => {
    const other = await verify("--public-key", "other.pub")
    expect(other.code).not.toBe(0)
    expect(other.stderr).toMatch(/linux\/amd64 sha256:\w+: no signature/)
    expect(other.stderr).toMatch(/not signed by the key/)
    const elsewhere = await verify("--public-key", "signing.pub", "--commit", "f".repeat(40))
    expect(elsewhere.stderr).toContain(`built from ${commit.slice(0, 12)}, not from ffffffffffff`)
    const platform = await verify("--public-key", "signing.pub", "--platform", "linux/arm64")
    expect(platform.stderr).toContain("no image for linux/arm64; it has linux/amd64")
  })

  it("is built again with the same digest, with caches of another name and after what it is made of was made again", async () => {
    const { code, stdout, stderr } = await call(
      ...["--caches", `clean-${Date.now()}`, "verify-build", "--image", image],
    )
    expect(code, stderr.slice(-4_000)).toBe(0)
    expect(stdout.trim()).toBe(`${image} is what the working tree builds: linux/amd64`)
  })

  it("is told from what another working tree builds, file by file", async () => {
    const file = join(checkout, "services/api/src/recipes/__main__.py")
    const before = await readFile(file, "utf8")
    await writeFile(file, `${before}\n# Another one.\n`)
    const { code, stderr } = await call("verify-build", "--image", image)
    await writeFile(file, before)
    expect(code).not.toBe(0)
    expect(stderr).toMatch(/api@sha256:\w+ on linux\/amd64 differs: published sha256:\w+, built sha256:\w+/)
    expect(stderr).toMatch(/layer \d+: app\/recipes\/__main__\.py: content \w+ → \w+, size \d+ → \d+/)
    expect(stderr).not.toMatch(/layer \d+: opt\/venv/)
  })

  it("is not pruned while it is not known what environments use", async () => {
    const { code, stderr } = await call("prune", "--older-than", "1s")
    expect(code).not.toBe(0)
    expect(stderr).toMatch(
      /it is not known which images \w+ uses, so nothing is removed: no cluster is named/,
    )
  })

  it("gets nothing twice when it is published again", async () => {
    const { code, stderr } = await publish()
    expect(code, stderr.slice(-4_000)).toBe(0)
    expect(readRelease(await readFile(join(checkout, "release.json"), "utf8")).images.api?.reference).toBe(
      image,
    )
    expect(stderr).toMatch(/with (no|0) new attestations/)
  })
})
