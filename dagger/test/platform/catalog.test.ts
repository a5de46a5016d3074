import { readFileSync } from "node:fs"
import { describe, expect, it } from "vitest"
import { builtFrom, copiedPaths, readCatalog, touched, verifyFolders } from "../../src/platform/catalog.js"

const yaml = `defaults:
  coverage: { lines: 80, branches: 70 }
  load: { p95: 2000, errorRate: 1 }
  limits: { tool: 300, test: 900, ready: 120 }
services:
  kit:
    kind: react
  api:
    kind: python
    database: recipes
    coverage: { lines: 95, branches: 90 }
  web:
    kind: react
    backend: api
    size: { start: 90, all: 200 }
`
const recipes = {
  api: { dockerfile: "FROM python\nCOPY servicekit/src api/src /app/\n" },
  kit: { manifest: JSON.stringify({ name: "@f1/kit" }) },
  web: {
    dockerfile: "FROM node\nCOPY package.json ./\nCOPY web/ web/\nCOPY api/openapi.json api/\n",
    manifest: JSON.stringify({ dependencies: { "@f1/kit": "*", react: "^19" } }),
  },
}

describe("readCatalog", () => {
  const catalog = readCatalog(yaml, recipes)

  it("gives each service its settings, and the defaults where it has none", () => {
    expect(catalog.api).toMatchObject({
      name: "api",
      kind: "python",
      database: "recipes",
      deployable: true,
      coverage: { lines: 95, branches: 90 },
    })
    expect(catalog.web?.size).toEqual({ start: 90, all: 200 })
    expect(catalog.kit?.size).toEqual({ start: 150, all: 600 })
    expect(catalog.api).toMatchObject({ image: { added: 100, all: 200 }, programs: {} })
    expect(catalog.kit).toMatchObject({ deployable: false, coverage: { lines: 80, branches: 70 } })
  })

  it("derives what a service is made from: its Dockerfile's folders, its workspaces, its backend's contract", () => {
    expect(catalog.api?.inputs).toEqual(expect.arrayContaining(["api", "servicekit"]))
    expect(catalog.web?.inputs).toEqual(
      expect.arrayContaining(["web", "kit", "api/openapi.json", "package-lock.json"]),
    )
    expect(catalog.web?.inputs).not.toContain("api")
    expect(catalog.web?.inputs).not.toContain("react")
  })

  it.each([
    [
      "services:\n  api:\n    kind: ruby\n",
      /services\.yaml:3: services\.api\.kind: .*"python"\|"react".*found "ruby"/,
    ],
    [
      yaml.replace("lines: 95", "lines: 195"),
      /services\.yaml:11: services\.api\.coverage\.lines: .*100.*found 195/,
    ],
    [
      yaml.replace("database", "data_base"),
      /services\.yaml:10: services\.api: no such key: data_base; allowed: kind, .*database/,
    ],
    [
      yaml.replace("kind: python", "kind: python\n    image: { added: 0, all: 9 }"),
      /services\.yaml:10: services\.api\.image\.added: .*found 0/,
    ],
    [
      yaml.replace("kind: python", 'kind: python\n    programs: { dash: "" }'),
      /services\.yaml:10: services\.api\.programs\.dash: the reason why the image has this program/,
    ],
    [
      yaml.replace("backend: api", "backend: kit"),
      /services\.yaml:14: services\.web\.backend: .*"kit".*allowed: api$/,
    ],
    [
      yaml.replace("kind: python", "kind: python\n    port: 8000").replace("backend: api", "port: 8000"),
      /services\.yaml:15: services\.web\.port: another port than that of api \(found 8000\)$/,
    ],
    [yaml.replace("kind: react", "kind: [react"), /services\.yaml:\d+: /],
    ["", /services\.yaml:1: /],
  ])("names the file, the line, what was found and what is allowed", (text, message) => {
    expect(() => readCatalog(text, {})).toThrow(message)
  })

  it("follows workspaces that depend on workspaces, by the names of their packages", () => {
    const catalog = readCatalog(yaml, {
      web: { dockerfile: "", manifest: '{"name": "shop", "devDependencies": {"@f1/kit": "*"}}' },
      kit: { manifest: '{"name": "@f1/kit", "dependencies": {"colours": "*"}}' },
      palette: { manifest: '{"name": "colours"}' },
    })
    expect(catalog.web?.inputs).toEqual(expect.arrayContaining(["web", "kit", "palette"]))
  })

  it.each([
    ["Dockerfile", { web: { dockerfile: "FROM node\nCOPY . .\n" } }],
    ["package.json", { web: { dockerfile: "", manifest: "{" } }],
    ["package.json of another form", { web: { dockerfile: "", manifest: '{"dependencies": []}' } }],
  ])("takes everything for an input where a %s cannot be followed", (_, recipes) => {
    const catalog = readCatalog(yaml, recipes)
    expect(catalog.web?.inputs).toContain("**")
    expect(touched(catalog, ["anything/at/all.txt"]).map(({ name }) => name)).toContain("web")
  })

  it("reads the configuration of this repository", () => {
    const text = readFileSync(new URL("../../config/services.yaml", import.meta.url), "utf8")
    expect(Object.keys(readCatalog(text, {}))).toContain("f1-backend")
  })
})

describe("copiedPaths", () => {
  it("reads COPY and ADD in all their forms, and leaves other stages alone", () => {
    const dockerfile = `FROM node AS build
copy --chown=1000:1000 --link web/src web/public /app/
COPY ["frontend-kit/with space", "/kit/"]
ADD ./servicekit/src \\
    /app/servicekit
COPY --from=build /dist/web /srv
COPY package.json package-lock.json ./
RUN echo COPY nothing/here /tmp
`
    expect(copiedPaths(dockerfile)).toEqual([
      "web",
      "frontend-kit",
      "servicekit",
      "package.json",
      "package-lock.json",
    ])
  })

  it.each([
    ["a whole folder", "COPY servicekit /app/servicekit", ["servicekit"]],
    ["a bind mount", "RUN --mount=type=bind,source=kit/r.txt,target=/r.txt pip install -r /r.txt", ["kit"]],
    ["a bind mount in capitals", "RUN --mount=type=BIND,source=kit,target=/kit make", ["kit"]],
    ["a mount whose type is a variable", "RUN --mount=type=${TYPE},source=kit,target=/kit make", ["kit"]],
    ["no cache", "RUN --mount=type=cache,source=kit,target=/kit make", []],
    ["what later stages copy", "ONBUILD COPY kit /kit", ["kit"]],
    ["what later stages mount", "ONBUILD RUN --mount=type=bind,source=kit,target=/kit make", ["kit"]],
    ["quotes within a word", `COPY kit"/src" 'servicekit'/x /x/`, ["kit", "servicekit"]],
    ["a bind mount, with src", "RUN --mount=type=bind,src=kit,dst=/kit make", ["kit"]],
    ["a bind mount in quotes", 'RUN --mount=type=bind,source="kit/r.txt",target=/r.txt make', ["kit"]],
    ["a bind mount of all, which is the default", "RUN --mount=target=/src make", ["**"]],
    ["a bind mount of another stage", "RUN --mount=from=build,source=/dist,target=/dist make", []],
    ["a cache mount", "RUN --mount=type=cache,target=/root/.npm npm ci", []],
    ["a comment between lines", "COPY \\\n  # the kit\n  servicekit/src \\\n  /x/", ["servicekit"]],
    ["quotes", 'COPY "servicekit/src" /x/', ["servicekit"]],
    ["a bracket that is no JSON", "COPY [ab]*.txt /x/", ["**"]],
    ["a bracket that never closes", 'COPY ["kit/src", /x/', ["**"]],
    ["the whole context", "COPY . .", ["**"]],
    ["a variable", "COPY ${FOLDER}/src /x/", ["**"]],
    ["a path out of a folder and into another", "COPY api/../kit /x/", ["kit"]],
    ["a here document", "COPY <<END /x\nCOPY kit/src /y\nEND\nCOPY api/a /x", ["api"]],
    ["a download", "ADD https://example.org/kit/a.tar.gz /x/", []],
  ])("follows %s", (_, line, paths) => {
    expect(copiedPaths(`FROM x\n${line}\n`)).toEqual(paths)
  })

  it("takes a file that stands for itself alone, and its folder where more of it is read", () => {
    const files = ["api/openapi.json"]
    expect(copiedPaths("FROM x\nCOPY api/openapi.json api/\n", files)).toEqual(files)
    expect(copiedPaths("FROM x\nCOPY api/openapi.json api/src api/\n", files)).toEqual([...files, "api"])
  })

  it("finds none in an empty Dockerfile", () => {
    expect(copiedPaths("")).toEqual([])
  })
})

describe("touched", () => {
  const catalog = readCatalog(yaml, recipes)
  const names = (paths: string[]) => touched(catalog, paths).map(({ name }) => name)

  it.each([
    // The browser tests of web run on the image of its backend.
    [["api/src/recipes/app.py"], ["api", "web"]],
    [["servicekit/src/servicekit/app.py"], ["api", "web"]],
    // A removed folder.
    [["servicekit/"], ["api", "web"]],
    [["api/"], ["api", "web"]],
    [["api/openapi.json"], ["api", "web"]],
    [["kit/src/index.ts"], ["kit", "web"]],
    [["package-lock.json"], ["kit", "web"]],
    [["apiary/README.md"], []],
    [[], []],
  ])("%j touches %j", (paths, services) => {
    expect(names(paths)).toEqual(services)
  })

  it("finds a library by the folder of its contract, which git names alone when it becomes a submodule", () => {
    const library = `${yaml}  client: { kind: react, backend: api }\n`
    const found = touched(readCatalog(library, recipes), ["api"])
    expect(found.map(({ name }) => name)).toEqual(["api", "web", "client"])
  })
})

describe("builtFrom", () => {
  it("has the services and what they are built from, and all where a Dockerfile cannot be followed", () => {
    expect(builtFrom(readCatalog(yaml, recipes), ["web"])).toEqual(["web", "kit"])
    const unclear = { ...recipes, api: { dockerfile: "FROM python\nARG FROM\nCOPY $FROM /app/\n" } }
    expect(builtFrom(readCatalog(yaml, unclear), ["api"])).toEqual(["api", "kit", "web"])
  })
})

describe("verifyFolders", () => {
  const catalog = readCatalog(yaml, recipes)

  it("accepts a catalogue that names every service of services/", () => {
    expect(() => {
      verifyFolders(catalog, yaml, ["api", "kit", "web"])
    }).not.toThrow()
  })

  it("names services without an entry and entries without a folder", () => {
    expect(() => {
      verifyFolders(catalog, yaml, ["api", "web", "greeter"])
    }).toThrow(
      "services.yaml:6: services: services/greeter has no entry below services; add one, with its kind (python or react)\n" +
        "dagger/config/services.yaml:7: services.kit: there is no folder services/kit",
    )
  })
})
