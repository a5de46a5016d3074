// Settings of web apps in deploy.yaml, and the configuration that browsers get.
import { readFileSync } from "node:fs"
import { describe, expect, it } from "vitest"
import { addressOf, configurationOf } from "../../src/frontends/settings.js"
import {
  deployFile,
  environmentOf,
  frontendSettings,
  readDeploy,
} from "../../src/environments/configuration.js"
import { cloudCredentials, readSecrets } from "../../src/environments/secrets.js"
import { store } from "./platform.js"

const shipped = readFileSync(new URL(`../../../${deployFile}`, import.meta.url), "utf8")
const app = `hostnames: [app.example.com], bucket: apps, prefix: staging, region: eu-central-1`
const edge = `edge: { kind: key-value-store, store: "${store}" }`
const read = (settings: string) =>
  readDeploy(shipped, { file: "settings.yaml", text: `environments:\n${settings}` })
const staging = (settings: string) => read(`  staging:\n    frontends:\n      web: { ${settings} }\n`)

describe("the settings of a web app", () => {
  it("are none as they are shipped", () => {
    expect(frontendSettings(environmentOf(readDeploy(shipped), "staging"))).toEqual([])
  })

  it("are as the example in the file has them", () => {
    const example = /^( +)# frontends:\n(?:\1# {3,}.*\n)+/m.exec(shipped)?.[0] ?? ""
    const text = example.replaceAll(/^ {4}# /gm, "    ")
    const [web] = frontendSettings(environmentOf(read(`  staging:\n${text}`), "staging"))
    expect(web).toMatchObject({
      app: "web",
      edge: { kind: "key-value-store" },
      canary: [{ percent: 10, for: 300 }],
    })
  })

  it("have defaults", () => {
    const [web] = frontendSettings(environmentOf(staging(`${app}, ${edge}`), "staging"))
    expect(web).toMatchObject({
      keep: { releases: 5, days: 7 },
      canary: [],
      flags: {},
      api: "",
      preview: false,
      previews: { expires: 7 * 86_400 },
    })
    expect(web && addressOf(web)).toBe("https://app.example.com")
  })

  it.each([
    [
      "an edge of another kind",
      `${app}, edge: { kind: fastly }`,
      /settings\.yaml:4: .*web\.edge.*: the kind of edge; allowed: key-value-store, invalidate/,
    ],
    [
      "a store that is none",
      `${app}, edge: { kind: key-value-store, store: x }`,
      /settings\.yaml:4: .*edge\.store: the ARN of a key-value store/,
    ],
    [
      "no bucket",
      `hostnames: [app.example.com], region: eu-central-1, ${edge}`,
      /settings\.yaml:4: .*bucket: is missing/,
    ],
    [
      "a prefix with a slash",
      `${app}/, ${edge}`.replace("prefix: staging", "prefix: staging/"),
      /settings\.yaml:4: .*prefix: a path such as apps\/staging/,
    ],
    [
      "a canary without a store",
      `${app}, edge: { kind: invalidate, distribution: E2QWRUHAPOMQZL }, canary: [{ percent: 10, for: 1m }]`,
      /canary: only with edge\.kind key-value-store/,
    ],
    [
      "a canary that shrinks",
      `${app}, ${edge}, canary: [{ percent: 50, for: 1m }, { percent: 10, for: 1m }]`,
      /canary\.1\.percent: more than the step before/,
    ],
    ["a flag that is a list", `${app}, ${edge}, flags: { newSearch: [1] }`, /flags\.newSearch/],
    [
      "a flag that is a text",
      `${app}, ${edge}, flags: { newSearch: "on" }`,
      /flags\.newSearch: true or false/,
    ],
    [
      "an address with a path",
      `${app}, ${edge}, address: "https://app.example.com/x"`,
      /address: an address without a path/,
    ],
    [
      "previews that never end",
      `${app}, ${edge}, preview: true, previews: { expires: 0s }`,
      /previews\.expires: from 1h to 2160h/,
    ],
    [
      "previews that last a year",
      `${app}, ${edge}, preview: true, previews: { expires: 8760h }`,
      /previews\.expires: from 1h to 2160h, which are 90 days/,
    ],
    [
      "a domain without previews",
      `${app}, ${edge}, previews: { domain: preview.example.com }`,
      /previews\.domain: only with edge\.kind key-value-store and preview: true/,
    ],
    [
      "a domain of previews that visitors' host names are in",
      `${app}, ${edge}, preview: true, previews: { domain: example.com }`,
      /previews\.domain: a domain of previews alone, such as preview\.example\.com: visitors of app\.example\.com/,
    ],
    [
      "a domain of previews that a backend has host names in",
      `${app}, ${edge}, preview: true, previews: { domain: staging.example.com }`,
      /web\.previews\.domain: another domain than host names of api have/,
    ],
    ["another key", `${app}, ${edge}, buckets: x`, /no such key: buckets; allowed: hostnames, /],
  ])("are refused with %s", (_, settings, message) => {
    expect(() => staging(settings)).toThrow(message)
  })

  it("are refused for a name that a backend has", () => {
    expect(() => read(`  staging:\n    frontends:\n      api: { ${app}, ${edge} }\n`)).toThrow(
      /environments\.staging\.frontends\.api: a web app, whose name no backend, database or model has/,
    )
  })

  it("are refused where two environments would share a place in a bucket", () => {
    const one = `frontends: { web: { ${app}, ${edge} } }`
    expect(() => read(`  staging: { ${one} }\n  production: { ${one} }\n`)).toThrow(
      /environments\.production\.frontends\.web\.bucket: another bucket or prefix than that of web of staging/,
    )
  })

  it("are refused where two web apps would share a domain of previews", () => {
    const one = `${app}, ${edge}, preview: true, previews: { domain: preview.example.com }`
    const other = one.replace("app.example.com", "dashboard.example.com")
    expect(() =>
      read(`  staging:\n    frontends:\n      web: { ${one} }\n      dashboard: { ${other} }\n`),
    ).toThrow(/dashboard\.previews\.domain: another domain than host names of web have/)
    expect(() =>
      read(
        `  staging: { frontends: { web: { ${one} } } }\n  production: { frontends: { web: { ${other} } } }\n`,
      ),
    ).toThrow(
      /production\.frontends\.web\.previews\.domain: \*\.preview\.example\.com overlaps with \*\.preview\.example\.com of staging/,
    )
  })

  it("are refused where two environments would share an edge or a host name", () => {
    const one = `frontends: { web: { ${app}, ${edge} } }`
    const other = one.replace(/bucket: [^,]+/, "bucket: another")
    const both = () => read(`  staging: { ${one} }\n  production: { ${other} }\n`)
    expect(both).toThrow(/environments\.production\.frontends\.web\.edge: another edge than one of staging/)
    expect(both).toThrow(
      /environments\.production\.frontends\.web\.hostnames\.0: .* overlaps with .* of staging/,
    )
  })
})

describe("the configuration", () => {
  const [web] = frontendSettings(
    environmentOf(
      staging(`${app}, ${edge}, api: "https://api.example.com", flags: { b: false, a: true, c: true }`),
      "staging",
    ),
  )
  if (!web) throw new Error("no web app")

  it("is what browsers get, and equal values have equal ids", () => {
    const { id, text } = configurationOf(web, "1.2.3")
    expect(JSON.parse(text)).toEqual({
      apiBaseUrl: "https://api.example.com",
      environment: "staging",
      version: "1.2.3",
      flags: { a: true, b: false, c: true },
      id,
    })
    const other = { ...web, flags: { c: true, a: true, b: false } }
    expect(configurationOf(other, "1.2.3")).toEqual({ id, text })
    expect(configurationOf({ ...web, flags: { ...web.flags, c: false } }, "1.2.3").id).not.toBe(id)
  })
})

describe("the keys for web apps", () => {
  const shared = { AWS_ACCESS_KEY_ID: "id", AWS_SECRET_ACCESS_KEY: "secret" }

  it("are those of the environment, or else those of all", () => {
    const own = {
      STAGING_AWS_ACCESS_KEY_ID: "own",
      STAGING_AWS_SECRET_ACCESS_KEY: "own-secret",
      STAGING_AWS_SESSION_TOKEN: "token",
    }
    const text = Object.entries({ ...shared, ...own }).map(([name, value]) => `${name}=${value}`)
    const secrets = readSecrets(text.join("\n"))
    expect(cloudCredentials(secrets, "staging", "web apps")).toEqual({
      accessKeyId: "own",
      secretAccessKey: "own-secret",
      sessionToken: "token",
    })
    expect(cloudCredentials(secrets, "production", "web apps")).toEqual({
      accessKeyId: "id",
      secretAccessKey: "secret",
    })
  })

  it("are never those of two at once", () => {
    expect(() =>
      cloudCredentials({ ...shared, STAGING_AWS_ACCESS_KEY_ID: "own" }, "staging", "web apps"),
    ).toThrow(
      /web apps need keys: add AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or STAGING_AWS_ACCESS_KEY_ID and STAGING_AWS_SECRET_ACCESS_KEY/,
    )
    expect(() => cloudCredentials({}, "production", "web apps")).toThrow(/web apps need keys/)
  })
})
