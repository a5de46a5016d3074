import { generateKeyPairSync } from "node:crypto"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import picomatch from "picomatch"
import { describe, expect, it } from "vitest"
import {
  affected,
  inputsOf,
  moduleGroup,
  pipelineFiles,
  securityGroup,
} from "../../src/ci/affected/affected.js"
import {
  completedBy,
  type Pass,
  passFile,
  passKey,
  passOf,
  type PassWithArtifacts,
  parsed,
  readPass,
} from "../../src/ci/passes/pass.js"
import { openPass, signPass } from "../../src/ci/passes/signed-passes.js"
import { readSecurity } from "../../src/ci/security/configuration.js"
import type { Outcome } from "../../src/ci/runner/verdict.js"
import { signingKey, trustedKey } from "../../src/lib/keys.js"
import { isWithin } from "../../src/platform/catalog.js"
import { catalogWith } from "./catalog.js"

const key = passKey("api:test", "v0.21.8 linux/amd64", ["sha256:pipeline", "sha256:files"])
const pass: Pass = {
  schemaVersion: 1,
  key,
  gate: "api:test",
  subject: "pytest",
  detail: "12 passed",
  seconds: 3.5,
  at: "2026-03-02T10:00:00.000Z",
}
const now = new Date("2026-03-03T09:00:00Z")

describe("the key of a pass", () => {
  it.each<[string, Parameters<typeof passKey>]>([
    ["another gate", ["api:lint", "v0.21.8 linux/amd64", ["sha256:pipeline", "sha256:files"]]],
    ["another platform", ["api:test", "v0.21.8 linux/arm64", ["sha256:pipeline", "sha256:files"]]],
    ["another pipeline", ["api:test", "v0.21.8 linux/amd64", ["sha256:other", "sha256:files"]]],
    ["other files", ["api:test", "v0.21.8 linux/amd64", ["sha256:pipeline", "sha256:other"]]],
    ["further inputs", ["api:test", "v0.21.8 linux/amd64", ["sha256:pipeline", "sha256:files", ""]]],
    [
      "inputs that join to the same text",
      ["api:test", "v0.21.8 linux/amd64", ["sha256:pipelinesha256:files"]],
    ],
  ])("is another one for %s", (_, input) => {
    expect(passKey(...input)).not.toBe(key)
  })

  it("is the same for the same", () => {
    expect(passKey("api:test", "v0.21.8 linux/amd64", ["sha256:pipeline", "sha256:files"])).toBe(key)
  })
})

describe("a pass", () => {
  const completed = (outcome: Outcome) => ({
    ...completedBy(pass, now),
    verdict: { ...completedBy(pass, now).verdict, outcome },
  })

  it("is kept of a gate that passed, and of no other", () => {
    const outcomes: Outcome[] = ["passed", "failed", "could not run", "skipped"]
    expect(outcomes.map((outcome) => passOf(key, completed(outcome), now)?.gate)).toEqual([
      "api:test",
      undefined,
      undefined,
      undefined,
    ])
  })

  it("is shown with its count, and as remembered", () => {
    expect(completedBy(pass, now).verdict).toMatchObject({
      outcome: "passed",
      cached: true,
      detail: "12 passed",
      seconds: 3.5,
    })
  })

  it.each([
    "",
    "{",
    "[]",
    "null",
    JSON.stringify({ ...pass, schemaVersion: 2 }),
    JSON.stringify(pass).slice(0, -9),
  ])("is not read from %j", (text) => {
    expect(readPass(parsed(text))).toBeUndefined()
  })
})

describe("a signed pass", () => {
  const pem = (type: "ed25519" | "ec" | "rsa") => {
    const made =
      type === "ec"
        ? generateKeyPairSync("ec", { namedCurve: "P-256" })
        : type === "rsa"
          ? generateKeyPairSync("rsa", { modulusLength: 2048 })
          : generateKeyPairSync("ed25519")
    return {
      secret: made.privateKey.export({ type: "pkcs8", format: "pem" }),
      open: made.publicKey.export({ type: "spki", format: "pem" }),
    }
  }
  const main = pem("ed25519")
  const other = pem("ed25519")
  const trusted = (text: string) => [trustedKey(text)].flatMap((one) => one ?? [])
  const signed: PassWithArtifacts = { pass, artifacts: { junit: "<testsuites/>", sarif: [] } }
  const file = signPass(signed, signingKey("KEY", main.secret))
  const changed = (change: (envelope: Record<string, unknown>) => void) => {
    const envelope = JSON.parse(file) as Record<string, unknown>
    change(envelope)
    return JSON.stringify(envelope)
  }

  it.each(["ed25519", "ec"] as const)("is read with the key that signed it: %s", (type) => {
    const pair = pem(type)
    expect(openPass(signPass(signed, signingKey("KEY", pair.secret)), trusted(pair.open))).toEqual(signed)
  })

  it("is read by one of several keys", () => {
    expect(openPass(file, [...trusted(other.open), ...trusted(main.open)])).toEqual(signed)
  })

  it.each<[string, string, string[]]>([
    ["another key signed it", signPass(signed, signingKey("KEY", other.secret)), [main.open]],
    ["no key is trusted", file, []],
    ["nobody signed it", changed((envelope) => (envelope.signatures = [])), [main.open]],
    [
      "its contents were changed",
      changed((envelope) => {
        const payload = Buffer.from(String(envelope.payload), "base64").toString()
        envelope.payload = Buffer.from(payload.replace("12 passed", "13 passed")).toString("base64")
      }),
      [main.open],
    ],
    [
      "it says to be something else",
      changed((envelope) => (envelope.payloadType = "text/plain")),
      [main.open],
    ],
    ["it is cut off", file.slice(0, -40), [main.open]],
    ["it is empty", "", [main.open]],
    ["it is no envelope", JSON.stringify(signed), [main.open]],
  ])("does not count when %s", (_, text, keys) => {
    expect(openPass(text, keys.flatMap(trusted))).toBeUndefined()
  })

  it("is refused for a key that cannot sign it, without showing the key", () => {
    expect(() => signingKey("PASSES_SIGNING_KEY", "hunter2")).toThrow(
      "PASSES_SIGNING_KEY is no private key; allowed: PEM, as openssl genpkey -algorithm ed25519 prints it",
    )
    expect(() => signingKey("PASSES_SIGNING_KEY", pem("rsa").secret)).toThrow(
      "PASSES_SIGNING_KEY is a key for rsa",
    )
  })

  it("names a file that no gate's name leaves the folder of", () => {
    expect(passFile({ gate: "../x:y", key })).toBe(`_2e__2e__2f_x.y.${key}.json`)
  })

  it("is trusted by configuration with public keys only", () => {
    const text = readFileSync(join(import.meta.dirname, "../../config/security.yaml"), "utf8")
    const withKey = (key: string) =>
      readSecurity(text.replace("trusted: []", `trusted: [${JSON.stringify(key)}]`), new Date("2026-11-30"))
    expect(withKey(main.open).passes.trusted).toEqual([main.open])
    for (const wrong of [main.secret, pem("rsa").open, "x"]) {
      expect(() => withKey(wrong)).toThrow(/passes.trusted.0: .*a public key in PEM/)
    }
  })
})

describe("the inputs of a group", () => {
  const catalog = catalogWith(
    [
      "servicekit: { kind: python }",
      "api: { kind: python, database: recipes }",
      "web: { kind: react, backend: api }",
      "odd: { kind: python }",
    ],
    {
      api: { dockerfile: "COPY servicekit/src /app/\nCOPY api/src /app/" },
      web: { dockerfile: "COPY web/ web/" },
      odd: { dockerfile: "ARG WHERE\nCOPY $WHERE /app/" },
    },
  )
  const selects = (group: string, path: string) =>
    inputsOf(catalog, group).some(({ include = ["**"], exclude = [] }) => {
      const within = (patterns: string[]) =>
        patterns.some((pattern) => isWithin(path, pattern.replace(/\/\*\*$/, "")) || picomatch(pattern)(path))
      return within(include) && !within(exclude)
    })

  it.each([
    "services/api/src/recipes/app.py",
    "services/api/openapi.json",
    "services/servicekit/src/servicekit/middleware.py",
    "services/web/src/main.tsx",
    "services/pyproject.toml",
    "services/package-lock.json",
    "services/web/package.json",
    "dagger/test/catalog.test.ts",
    "engine/main.go",
    "README.md",
  ])("have %s wherever a change of it affects the group", (path) => {
    const call = affected(catalog, [path])
    if (call.everything) throw new Error(call.reason)
    const groups = [...Object.keys(catalog), moduleGroup, securityGroup]
    expect(groups.filter((group) => selects(group, path)).sort()).toEqual(Object.keys(call.groups).sort())
  })

  it("are, with those of the pipeline, everything that affects all groups", () => {
    for (const path of ["dagger/src/index.ts", "dagger/config/services.yaml", "dagger.json"]) {
      expect(affected(catalog, [path])).toMatchObject({ everything: true })
      expect(pipelineFiles.some((file) => isWithin(path, file))).toBe(true)
    }
  })
})
