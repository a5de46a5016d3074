import { readFileSync } from "node:fs"
import { describe, expect, it } from "vitest"
import { declarationIn } from "../../src/frontends/bundle.js"
import { type BackendContract, judgeContract, unserved } from "../../src/frontends/contract.js"
import { apiOf, build, contractOf, recipesApi, removeBuilds } from "./fixtures.js"

const shipped = (service: string) =>
  readFileSync(new URL(`../../../services/${service}/openapi.json`, import.meta.url), "utf8")

type Tree = Record<string, unknown>

/** A description of one operation, and of the schemas that it refers to. */
const api = (operation: Tree, schemas: Tree = {}, path = "/api/recipes/{slug}", method = "get") =>
  JSON.stringify({ openapi: "3.1.0", paths: { [path]: { [method]: operation } }, components: { schemas } })

const answer = (schema: Tree, schemas: Tree = {}) =>
  api({ responses: { "200": { content: { "application/json": { schema } } } } }, schemas)
const body = (schema: Tree) =>
  api(
    { requestBody: { required: true, content: { "application/json": { schema } } }, responses: {} },
    {},
    "/api/recipes",
    "post",
  )
const query = (...parameters: Tree[]) =>
  api({ parameters: parameters.map((one) => ({ in: "query", ...one })), responses: {} })

const text = { type: "string" }
const nothing = { type: "null" }
const recipe = (properties: Tree, required = Object.keys(properties)) => ({
  type: "object",
  properties,
  required,
})

describe("what a client would miss", () => {
  it.each(["api", "f1-backend"])(
    "is nothing in the very description of %s, however it is written",
    (service) => {
      const found = JSON.parse(shipped(service)) as Tree
      expect(unserved(shipped(service), JSON.stringify(found))).toEqual([])
    },
  )

  it("is each operation of the recipes that a server lacks", () => {
    const { paths, ...rest } = JSON.parse(shipped("api")) as { paths: Tree }
    const { "/api/recipes": gone, ...left } = paths
    expect(gone).toBeDefined()
    const missing = unserved(shipped("api"), JSON.stringify({ ...rest, paths: left }))
    expect(missing).toEqual(["GET /api/recipes is not there", "POST /api/recipes is not there"])
    expect(unserved(JSON.stringify({ ...rest, paths: left }), shipped("api"))).toEqual([])
  })

  it.each([
    ["another description", answer({ ...text, description: "a" }), answer({ ...text, description: "b" })],
    ["a further property", answer(recipe({ name: text })), answer(recipe({ name: text, tags: text }))],
    [
      "a value that is not left out any more",
      answer(recipe({ name: text }, [])),
      answer(recipe({ name: text })),
    ],
    ["a value that is never null any more", answer({ anyOf: [text, nothing] }), answer(text)],
    ["fewer values in answers", answer({ enum: ["a", "b"] }), answer({ enum: ["a"] })],
    ["a limit of an answer", answer(text), answer({ ...text, maxLength: 9 })],
    ["a further parameter that may be left out", query(), query({ name: "q" })],
    ["a parameter that may be left out now", query({ name: "q", required: true }), query({ name: "q" })],
    [
      "a further field that may be left out",
      body(recipe({ name: text })),
      body(recipe({ name: text, tags: text }, ["name"])),
    ],
    [
      "a field that may be null now",
      body(recipe({ name: text })),
      body(recipe({ name: { anyOf: [text, nothing] } })),
    ],
    [
      "more values of a field",
      body(recipe({ kind: { enum: ["a"] } })),
      body(recipe({ kind: { enum: ["a", "b"] } })),
    ],
    ["a limit that is gone", body(recipe({ name: { ...text, maxLength: 9 } })), body(recipe({ name: text }))],
    ["an error that does not happen any more", api({ responses: { "409": {} } }), api({ responses: {} })],
    ["whole numbers as numbers", body({ type: "integer" }), body({ type: "number" })],
  ])("is nothing after %s", (_, needed, served) => {
    expect(unserved(needed, served)).toEqual([])
  })

  const one = "GET /api/recipes/{slug}: "
  const post = "POST /api/recipes: "
  it.each([
    [
      "a property is gone",
      answer(recipe({ name: text })),
      answer(recipe({})),
      `${one}name of the answer 200 is not there`,
    ],
    [
      "a property may be missing",
      answer(recipe({ name: text })),
      answer(recipe({ name: text }, [])),
      `${one}name of the answer 200 may be missing`,
    ],
    [
      "a value may be null",
      answer(text),
      answer({ anyOf: [text, nothing] }),
      `${one}the answer 200 has another type`,
    ],
    [
      "a type is another one",
      answer(recipe({ name: text })),
      answer(recipe({ name: nothing })),
      `${one}name of the answer 200 has another type`,
    ],
    [
      "there are further values",
      answer({ enum: ["a"] }),
      answer({ enum: ["a", "b"] }),
      `${one}the answer 200 has other values`,
    ],
    [
      "items are others",
      answer({ type: "array", items: text }),
      answer({ type: "array", items: nothing }),
      `${one}an element of the answer 200 has another type`,
    ],
    [
      "a format is another one",
      answer({ ...text, format: "date" }),
      answer({ ...text, format: "date-time" }),
      `${one}the answer 200 has another format`,
    ],
    [
      "an answer is another one",
      api({ responses: { "201": {} } }),
      api({ responses: { "200": {} } }),
      `${one}the answer 201 is not there`,
    ],
    ["a parameter is gone", query({ name: "q" }), query(), `${one}the query parameter q is not there`],
    [
      "a parameter is required",
      query({ name: "q" }),
      query({ name: "q", required: true }),
      `${one}the query parameter q is required`,
    ],
    [
      "another parameter is required",
      query(),
      query({ name: "q", required: true }),
      `${one}the query parameter q is required`,
    ],
    [
      "a field is required",
      body(recipe({ name: text })),
      body(recipe({ name: text, tags: text })),
      `${post}tags of the body is required`,
    ],
    [
      "a field is gone",
      body(recipe({ name: text })),
      body(recipe({})),
      `${post}name of the body is not there`,
    ],
    [
      "a field is shorter",
      body(recipe({ name: text })),
      body(recipe({ name: { ...text, maxLength: 9 } })),
      `${post}name of the body has another maxLength`,
    ],
    [
      "a field takes fewer values",
      body(recipe({ kind: { enum: ["a", "b"] } })),
      body(recipe({ kind: { enum: ["a"] } })),
      `${post}kind of the body has other values`,
    ],
    [
      "it is for others",
      api({ responses: {} }),
      api({ responses: {}, security: [{ token: [] }] }),
      `${one}it asks for other credentials`,
    ],
    [
      "a keyword is not known",
      answer({ allOf: [text] }),
      answer({ allOf: [nothing] }),
      `${one}the answer 200 has another allOf`,
    ],
  ])("is named where %s", (_, needed, served, fault) => {
    expect(unserved(needed, served)).toContain(fault)
  })

  it("is found behind references, also of schemas that contain themselves", () => {
    const tree = (value: Tree) => ({
      Node: recipe({ value, children: { type: "array", items: { $ref: "#/components/schemas/Node" } } }),
    })
    const node = { $ref: "#/components/schemas/Node" }
    expect(unserved(answer(node, tree(text)), answer(node, tree({ ...text, title: "Value" })))).toEqual([])
    expect(unserved(answer(node, tree(text)), answer(node, tree(nothing)))).toEqual([
      `${one}value of the answer 200 has another type`,
    ])
    expect(unserved(answer(node, tree(text)), answer(node))).toEqual([
      `${one}the answer 200 refers to a schema that is not there`,
    ])
  })

  it.each([
    ["no JSON", "<html>", "is no JSON"],
    ["no OpenAPI document", "{}", "is no OpenAPI 3.1 document"],
    ["one of another version", recipesApi.replace("3.1.0", "3.0.3"), "is no OpenAPI 3.1 document"],
  ])("is everything where what is served is %s", (_, served, reason) => {
    expect(unserved(recipesApi, served)).toEqual([expect.stringContaining(`what is served ${reason}`)])
  })
})

describe("a build", () => {
  const needed = contractOf(recipesApi)
  const judge = (backend: BackendContract, contract: typeof needed | undefined = needed) =>
    judgeContract("web", "staging", contract, backend)
  const image = "registry.example.com/api@sha256:aaa"
  const described = (text: string) => ({ found: "described" as const, image, text })

  it("may be switched to where its contract is served, or a later one", () => {
    expect(judge(described(recipesApi))).toEqual({
      served: true,
      text: `contract ${needed.sha256.slice(0, 12)} of api, served by ${image}`,
    })
    expect(judge(described(apiOf("/api/recipes", "/api/menus"))).served).toBe(true)
  })

  it.each<[string, BackendContract, string]>([
    [
      "an older contract is served",
      described(apiOf("/api/pasta")),
      `which ${image} does not serve: GET /api/recipes is not there. Deploy api with it first, or together with web`,
    ],
    [
      "the backend is not live",
      { found: "not-live" },
      "api is not live in staging: deploy it first, or together with web",
    ],
    [
      "the environment lacks the backend",
      { found: "no-service", allowed: ["f1-backend"] },
      "staging has no service of that name; allowed: f1-backend",
    ],
    [
      "the image cannot be read",
      { found: "unreadable", reason: "401" },
      "it is not known what api in staging serves: 401",
    ],
  ])("is refused where %s", (_, backend, reason) => {
    expect(judge(backend)).toMatchObject({ served: false, reason: expect.stringContaining(reason) as string })
  })

  it("is refused where it does not say what it calls", () => {
    expect(judgeContract("web", "staging", undefined, described(recipesApi))).toMatchObject({
      served: false,
      reason: expect.stringContaining("web does not say which API it calls") as string,
    })
  })

  it("names few of many differences", () => {
    const many = contractOf(apiOf("/a", "/b", "/c", "/d", "/e"))
    expect(judge(described(apiOf("/f")), many)).toMatchObject({
      reason: expect.stringContaining("GET /c is not there; and 2 more differences. Deploy") as string,
    })
  })

  it("says in release.json what it calls, and the description in its image is that very one", async () => {
    const { folder } = await build("a", {
      "release.json": JSON.stringify({
        app: "web",
        backend: "api",
        contract: needed.sha256,
        flags: ["printView"],
      }),
    })
    expect(await declarationIn(folder, recipesApi)).toEqual({ flags: ["printView"], contract: needed })
    expect(await declarationIn(folder, undefined)).toEqual({ flags: ["printView"] })
    await expect(declarationIn(folder, apiOf())).rejects.toThrow(
      /describes another API of api than its release\.json names/,
    )
    const silent = await build("b")
    expect(await declarationIn(silent.folder, recipesApi)).toEqual({ flags: [] })
    await removeBuilds()
  })
})
