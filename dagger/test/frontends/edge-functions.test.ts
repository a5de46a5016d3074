// The functions that run at the edge, in Node with a key-value store of the test, and their syntax and size.
import { readFileSync } from "node:fs"
import { createContext, Script } from "node:vm"
import ts from "typescript"
import { describe, expect, it } from "vitest"
import {
  functionFiles,
  functionText,
  requestSettings,
  responseSettings,
  securityHeaders,
} from "../../src/frontends/edge-functions.js"
import { frontendSection, type FrontendSettings } from "../../src/frontends/settings.js"

const sourceOf = (which: keyof typeof functionFiles) =>
  readFileSync(new URL(`../../../${functionFiles[which]}`, import.meta.url), "utf8")

const settings = (more: object = {}): FrontendSettings => ({
  ...frontendSection.parse({
    hostnames: ["app.example.com"],
    bucket: "apps",
    prefix: "staging",
    region: "eu-central-1",
    edge: {
      kind: "key-value-store",
      store: "arn:aws:cloudfront::123456789012:key-value-store/7c5a2a52-0c26-4d0f-a1b6-1d5f4a9cf001",
    },
    ...more,
  }),
  app: "web",
  environment: "staging",
  namespace: "f1-staging",
})

const [live, canary, config, other] = ["a", "b", "c", "d"].map((letter) => letter.repeat(40))
const pointer = { live: { release: live, config, revision: 1 }, operation: "1" }
const withCanary = { ...pointer, canary: { release: canary, config: other, revision: 2, percent: 10 } }

const now = Date.parse("2026-03-02T10:00:00Z")

type Values = Record<string, { value: string; attributes?: string }>
interface Answer {
  uri?: string
  statusCode?: number
  headers: Values
  cookies?: Values
}

/** Runs a function as the edge does. */
function edge(
  which: keyof typeof functionFiles,
  {
    value,
    more = {},
    random = 0.5,
    shown = {},
  }: {
    value?: object | string
    more?: object
    random?: number
    /** Previews by name. */
    shown?: Record<string, object | string>
  } = {},
): (event: object) => Promise<Answer> {
  const of = which === "request" ? requestSettings(settings(more)) : responseSettings(settings(more))
  const text = functionText(sourceOf(which), of).replace(/^import .*$/m, "")
  const values: Record<string, object | string | undefined> = {
    web: value,
    ...Object.fromEntries(Object.entries(shown).map(([name, one]) => [`web.${name}`, one])),
  }
  const get = (key: string) => {
    const found = values[key]
    return found === undefined
      ? Promise.reject(new Error("KeyNotFound"))
      : Promise.resolve(typeof found === "string" ? found : JSON.stringify(found))
  }
  const globals = { cf: { kvs: () => ({ get }) }, console: { log: () => undefined }, draw: random, at: now }
  const context = createContext(globals)
  new Script(
    `Math.random = () => draw\nDate.now = () => at\n${text}\nglobalThis.handler = handler`,
  ).runInContext(context)
  return (context as unknown as { handler: (event: object) => Promise<Answer> }).handler
}

interface Asked {
  method?: string
  accept?: string
  encoding?: string
  cookie?: string
  headers?: Record<string, string>
}

const requestOf = (uri: string, { method = "GET", accept, encoding, cookie, headers = {} }: Asked = {}) => ({
  method,
  uri,
  querystring: {},
  headers: Object.fromEntries(
    Object.entries({ accept, "accept-encoding": encoding, host: "app.example.com", ...headers }).flatMap(
      ([name, value]) => (value === undefined ? [] : [[name, { value }]]),
    ),
  ),
  cookies: cookie === undefined ? {} : { "pitwall-web": { value: cookie } },
})

const asked = (uri: string, request: Asked = {}, options: Parameters<typeof edge>[1] = { value: pointer }) =>
  edge("request", options)({ request: requestOf(uri, request) })

const html = { accept: "text/html,application/xhtml+xml,*/*;q=0.8" }

describe("a request", () => {
  it.each([
    ["/", html, `/staging/web/releases/${live}/index.html`],
    ["/index.html", html, `/staging/web/releases/${live}/index.html`],
    ["/recipes/12", html, `/staging/web/releases/${live}/index.html`],
    ["/recipes/12", {}, `/staging/web/releases/${live}/index.html`],
    ["/users/john.doe", html, `/staging/web/releases/${live}/index.html`],
    ["/recipes/12", { ...html, method: "HEAD" }, `/staging/web/releases/${live}/index.html`],
    ["/robots.txt", {}, `/staging/web/releases/${live}/robots.txt`],
    ["/ICON.SVG", {}, `/staging/web/releases/${live}/ICON.SVG`],
    ["/config.json", {}, `/staging/web/config/${config}.json`],
    ["/config.json", { encoding: "br" }, `/staging/web/config/${config}.json`],
    ["/assets/index-1a2b3c4d.js", {}, "/staging/web/assets/index-1a2b3c4d.js"],
    [
      "/assets/index-1a2b3c4d.js",
      { encoding: "gzip, deflate, br" },
      "/staging/web/assets/index-1a2b3c4d.js.br",
    ],
    ["/assets/index-1a2b3c4d.js", { encoding: "gzip" }, "/staging/web/assets/index-1a2b3c4d.js.gz"],
    [
      "/assets/index-1a2b3c4d.js",
      { encoding: "br;q=0, gzip;q=0.5" },
      "/staging/web/assets/index-1a2b3c4d.js.gz",
    ],
    [
      "/assets/index-1a2b3c4d.js",
      { encoding: "br; q=0.0,gzip;q=0" },
      "/staging/web/assets/index-1a2b3c4d.js",
    ],
    ["/assets/index-1a2b3c4d.js", { encoding: "brotli" }, "/staging/web/assets/index-1a2b3c4d.js"],
    ["/assets/photo-1a2b3c4d.png", { encoding: "br" }, "/staging/web/assets/photo-1a2b3c4d.png"],
    ["/", { ...html, encoding: "br" }, `/staging/web/releases/${live}/index.html.br`],
  ])("for %s with %j gets the object %s", async (uri, request, object) => {
    expect((await asked(uri, request)).uri).toBe(object)
  })

  it.each([
    ["/assets/gone", html],
    ["/users/john.doe", { accept: "application/json" }],
    ["/recipes/12", { accept: "application/json" }],
    ["/.git/config", html],
    ["/a/../b", html],
    ["/a/%2e%2e/b", html],
    ["//example.com", html],
    ["/index.html.br", html],
    ["/assets/index-1a2b3c4d.js.gz", {}],
  ])("for %s with %j is answered by 404 and never by the page", async (uri, request) => {
    const answer = await asked(uri, request)
    expect(answer.statusCode).toBe(404)
    expect(answer.headers["cache-control"]?.value).toBe("no-store")
    expect(answer.headers["content-type"]?.value).toMatch(/^text\/plain/)
  })

  it("for a script that is gone stays one for that script, also when a browser navigates", async () => {
    expect((await asked("/assets/old-1a2b3c4d.js", html)).uri).toBe("/staging/web/assets/old-1a2b3c4d.js")
    expect((await asked("/old.js", html)).uri).toBe(`/staging/web/releases/${live}/old.js`)
  })

  it("that writes is refused", async () => {
    expect((await asked("/", { method: "POST" })).statusCode).toBe(405)
  })

  it.each([
    ["405", "/", { method: "POST" }],
    ["404", "/assets/gone", html],
  ])(
    "that is answered by %s gets the security headers with it: no other function adds them",
    async (_, uri, request) => {
      const { headers } = await asked(uri, request)
      for (const [name, value] of Object.entries(securityHeaders(settings())))
        expect(headers[name]?.value, name).toBe(value)
    },
  )

  it("gets the copies of what was live last while the store fails, is empty, or holds something else", async () => {
    for (const value of [undefined, "", "{", "{}", { live: { release: "../../x", config } }]) {
      const options = value === undefined ? {} : { value }
      expect((await asked("/", html, options)).uri).toBe("/staging/web/live/index.html")
      expect((await asked("/config.json", {}, options)).uri).toBe("/staging/web/live/config.json")
      expect((await asked("/assets/index-1a2b3c4d.js", {}, options)).uri).toBe(
        "/staging/web/assets/index-1a2b3c4d.js",
      )
    }
  })

  it("asks no store where the edge has none", async () => {
    const more = { edge: { kind: "invalidate", distribution: "E2QWRUHAPOMQZL" } }
    expect((await asked("/x", html, { value: pointer, more })).uri).toBe("/staging/web/live/index.html")
  })
})

describe("a canary", () => {
  const release = async (cookie: string | undefined, random = 0.5) => {
    const { uri = "" } = await asked(
      "/",
      { ...html, ...(cookie !== undefined && { cookie }) },
      { value: withCanary, random },
    )
    return uri.split("/")[4]
  }

  it("is what visitors get whose number is below its share", async () => {
    expect(await release("0")).toBe(canary)
    expect(await release("9")).toBe(canary)
    expect(await release("10")).toBe(live)
    expect(await release("99")).toBe(live)
    expect(await release("nonsense")).toBe(live)
  })

  it("is drawn by chance for visitors without a number", async () => {
    expect(await release(undefined, 0.05)).toBe(canary)
    expect(await release(undefined, 0.15)).toBe(live)
  })

  it("comes with its own configuration", async () => {
    expect((await asked("/config.json", { cookie: "3" }, { value: withCanary })).uri).toBe(
      `/staging/web/config/${other}.json`,
    )
  })
})

describe("a preview", () => {
  it("shows a release by a header or a host name, where that is allowed", async () => {
    const options = { value: pointer, more: { preview: true } }
    const byHeader = { ...html, headers: { "x-preview-release": other ?? "" } }
    const byHost = { ...html, headers: { host: `${other}.preview.example.com` } }
    expect((await asked("/", byHeader, options)).uri).toBe(`/staging/web/releases/${other}/index.html`)
    expect((await asked("/", byHost, options)).uri).toBe(`/staging/web/releases/${other}/index.html`)
    expect((await asked("/", byHeader)).uri).toBe(`/staging/web/releases/${live}/index.html`)
  })

  it("of a release with its configuration needs nothing that is live", async () => {
    const header = { ...html, headers: { "x-preview-release": `${other}.${live}` } }
    const nothing = { more: { preview: true } }
    expect((await asked("/", header, nothing)).uri).toBe(`/staging/web/releases/${other}/index.html`)
    expect((await asked("/config.json", header, nothing)).uri).toBe(`/staging/web/config/${live}.json`)
    expect((await asked("/", header, { value: pointer })).uri).toBe(
      `/staging/web/releases/${live}/index.html`,
    )
  })
})

describe("a preview with a name", () => {
  const more = { preview: true, previews: { domain: "preview.example.com" } }
  const shown = {
    "pr-12": { release: other, config: canary, until: now + 1 },
    old: { release: other, config: canary, until: now },
    odd: { release: "../../x", config: canary, until: now + 1 },
    endless: { release: other, config: canary },
    broken: "{",
  }
  const options = { value: pointer, more, shown }
  const at = (host: string) => ({ ...html, headers: { host } })
  const by = (name: string) => ({ ...html, headers: { "x-preview-release": name } })

  it("is shown at its host name and by its header, with its configuration, also before anything is live", async () => {
    for (const request of [
      at("pr-12.preview.example.com"),
      at("PR-12.Preview.Example.com:443"),
      by("pr-12"),
      by("PR-12"),
    ]) {
      for (const given of [options, { more, shown }]) {
        expect((await asked("/users/12", request, given)).uri).toBe(
          `/staging/web/releases/${other}/index.html`,
        )
        expect((await asked("/config.json", request, given)).uri).toBe(`/staging/web/config/${canary}.json`)
        expect((await asked("/assets/index-1a2b3c4d.js", request, given)).uri).toBe(
          "/staging/web/assets/index-1a2b3c4d.js",
        )
      }
    }
  })

  it.each(["old", "odd", "endless", "broken", "none", "a.b", ""])(
    'that has expired, that cannot be read or that is none is refused and never becomes what is live: "%s"',
    async (name) => {
      for (const path of ["/", "/config.json", "/assets/index-1a2b3c4d.js", "/robots.txt"]) {
        const answer = await asked(path, at(`${name}.preview.example.com`), options)
        expect([path, answer.statusCode]).toEqual([path, 404])
        expect(answer.headers["cache-control"]?.value).toBe("no-store")
      }
      if (name !== "") expect((await asked("/", by(name), options)).statusCode).toBe(404)
    },
  )

  it("is asked for by no other host name", async () => {
    for (const host of ["pr-12.example.com", "pr-12.preview.example.com.evil.com", "preview.example.com"])
      expect((await asked("/", at(host), options)).uri).toBe(`/staging/web/releases/${live}/index.html`)
  })

  it("does not exist where previews are off, and has no host name without a domain", async () => {
    const off = { value: pointer, shown }
    expect((await asked("/", by("pr-12"), off)).uri).toBe(`/staging/web/releases/${live}/index.html`)
    const noDomain = { ...off, more: { preview: true } }
    expect((await asked("/", at("pr-12.undefined"), noDomain)).uri).toBe(
      `/staging/web/releases/${live}/index.html`,
    )
    expect((await asked("/", by("pr-12"), noDomain)).uri).toBe(`/staging/web/releases/${other}/index.html`)
  })

  it("is kept out of search engines, and what is live is not", async () => {
    const robots = async (host: string) => {
      const request = requestOf("/", at(host))
      const response = { statusCode: 200, headers: {} }
      return (await edge("response", options)({ request, response })).headers["x-robots-tag"]?.value
    }
    expect(await robots("pr-12.preview.example.com")).toBe("noindex")
    expect(await robots("app.example.com")).toBeUndefined()
  })

  it("has pages that do not know their release: who looks at one is no visitor", async () => {
    const timing = async (viewer: Parameters<typeof requestOf>[1]) => {
      const response = {
        statusCode: 200,
        headers: { "content-type": { value: "text/html" }, "x-amz-meta-release": { value: live } },
      }
      const request = requestOf("/", viewer)
      return (await edge("response", options)({ request, response })).headers["server-timing"]?.value
    }
    expect(await timing(at("app.example.com"))).toBe(`release;desc="${live}"`)
    for (const viewer of [
      at("pr-12.preview.example.com"),
      at(`${other}.example.com`),
      by("pr-12"),
      by(live ?? ""),
    ])
      expect(await timing(viewer)).toBeUndefined()
  })
})

describe("a response", () => {
  const answered = (
    headers: Record<string, string>,
    { cookie, ...options }: Parameters<typeof edge>[1] & { cookie?: string } = {},
  ) =>
    edge(
      "response",
      options,
    )({
      request: requestOf("/", cookie === undefined ? {} : { cookie }),
      response: {
        statusCode: 200,
        headers: Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, { value }])),
      },
    })
  const page = {
    "content-type": "text/html; charset=utf-8",
    "x-amz-meta-release": live ?? "",
    "x-amz-meta-sha256": "x",
    server: "AmazonS3",
  }

  it("has the security headers and the release, and nothing of the store", async () => {
    const { headers } = await answered(page, {
      value: pointer,
      more: { api: "https://api.example.com/v1", images: ["https:"] },
    })
    expect(headers["x-release"]?.value).toBe(live)
    for (const [name, value] of Object.entries(
      securityHeaders(settings({ api: "https://api.example.com/v1", images: ["https:"] })),
    ))
      expect(headers[name]?.value, name).toBe(value)
    expect(headers["content-security-policy"]?.value).toContain(
      "connect-src 'self' https://api.example.com; ",
    )
    expect(headers["content-security-policy"]?.value).toContain("img-src 'self' data: https:; ")
    expect(headers["strict-transport-security"]?.value).toMatch(/^max-age=31536000/)
    for (const name of ["x-content-type-options", "x-frame-options", "referrer-policy", "vary"])
      expect(headers).toHaveProperty(name)
    expect(Object.keys(headers).filter((name) => name.startsWith("x-amz-") || name === "server")).toEqual([])
  })

  it("draws any number where only the configuration of a canary differs, which the page does not tell", async () => {
    const value = { ...pointer, canary: { release: live, config: other, revision: 2, percent: 10 } }
    for (const [random, number] of [
      [0, "0"],
      [0.5, "50"],
      [0.999, "99"],
    ] as const)
      expect((await answered(page, { value, random })).cookies?.["pitwall-web"]?.value).toBe(number)
  })

  it("gives visitors a number that keeps them where they are, while there is a canary", async () => {
    const numberOf = async (release: string | undefined, random: number) => {
      const { cookies } = await answered(
        { ...page, "x-amz-meta-release": release ?? "" },
        { value: withCanary, random },
      )
      return Number(cookies?.["pitwall-web"]?.value)
    }
    expect(await numberOf(canary, 0)).toBe(0)
    expect(await numberOf(canary, 0.999)).toBe(9)
    expect(await numberOf(live, 0)).toBe(10)
    expect(await numberOf(live, 0.999)).toBe(99)
    expect((await answered(page, { value: withCanary, cookie: "5" })).cookies).toBeUndefined()
    expect((await answered(page, { value: pointer })).cookies).toBeUndefined()
    expect(
      (await answered({ ...page, "content-type": "text/css" }, { value: withCanary })).cookies,
    ).toBeUndefined()
    expect((await answered(page)).headers).toHaveProperty("x-release")
  })
})

/** What njs 0.7.9 does not read, and CloudFront's runtime 2.0 partly. */
const refused: [string, (node: ts.Node) => boolean][] = [
  ["destructuring", (node) => ts.isObjectBindingPattern(node) || ts.isArrayBindingPattern(node)],
  ["spread", (node) => ts.isSpreadElement(node) || ts.isSpreadAssignment(node)],
  ["a class", (node) => ts.isClassLike(node)],
  ["for-of", (node) => ts.isForOfStatement(node)],
  ["a default parameter", (node) => ts.isParameter(node) && node.initializer !== undefined],
  ["?.", (node) => ts.isOptionalChain(node)],
  [
    "??",
    (node) => ts.isBinaryExpression(node) && node.operatorToken.kind === ts.SyntaxKind.QuestionQuestionToken,
  ],
  ["an optional catch", (node) => ts.isCatchClause(node) && node.variableDeclaration === undefined],
  [
    "a generator",
    (node) => ts.isFunctionLike(node) && "asteriskToken" in node && node.asteriskToken !== undefined,
  ],
  [
    "await within a call",
    (node) =>
      ts.isAwaitExpression(node) && ts.isCallExpression(node.parent) && node.parent.arguments.includes(node),
  ],
  ["a property without its value", (node) => ts.isShorthandPropertyAssignment(node)],
]

function refusedIn(text: string): string[] {
  const file = ts.createSourceFile("function.js", text, ts.ScriptTarget.ESNext, true, ts.ScriptKind.JS)
  const found: string[] = []
  const visit = (node: ts.Node) => {
    found.push(...refused.filter(([, is]) => is(node)).map(([name]) => name))
    ts.forEachChild(node, visit)
  }
  visit(file)
  return found
}

describe("the functions", () => {
  it.each(["request", "response"] as const)("keep to the syntax of the edge and to its size: %s", (which) => {
    const longest = settings({
      preview: true,
      previews: { domain: `${"preview-".repeat(7)}.${"a".repeat(60)}.example.com` },
      api: `https://${"a".repeat(60)}.example.com`,
    })
    const of = which === "request" ? requestSettings(longest) : responseSettings(longest)
    const text = functionText(sourceOf(which), of)
    expect(refusedIn(text)).toEqual([])
    expect(text.length).toBeLessThan(10_240)
  })

  it.each([
    ["const { a } = b", "destructuring"],
    ["f([...a])", "spread"],
    ["for (const a of b) {}", "for-of"],
    ["function f(a = 1) {}", "a default parameter"],
    ["a?.b", "?."],
    ["async () => { f(await g()) }", "await within a call"],
  ])("would be refused with %s", (text, name) => {
    expect(refusedIn(text)).toContain(name)
  })

  it("are refused when they are too long or have no place for settings", () => {
    expect(() => functionText(`const settings = {}\n${"x".repeat(10_240)}`, {})).toThrow(
      /characters; allowed: 10240/,
    )
    expect(() => functionText("", {})).toThrow(/has not one line/)
  })
})
