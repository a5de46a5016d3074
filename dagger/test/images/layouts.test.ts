// Images that were built at other times and in other ways, as layouts that `tar` made.
import { execFileSync, spawnSync } from "node:child_process"
import { createHash } from "node:crypto"
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { gunzipSync, gzipSync } from "node:zlib"
import { afterAll, describe, expect, it } from "vitest"
import { readContents } from "../../src/platform/reproducible.js"

const script = fileURLToPath(new URL("../../config/images/layouts.py", import.meta.url))
const folder = mkdtempSync(join(tmpdir(), "layouts-"))
afterAll(() => {
  rmSync(folder, { recursive: true })
})
let count = 0
const fresh = () => join(folder, String(++count))
const sha256 = (bytes: Buffer | string) => createHash("sha256").update(bytes).digest("hex")

/** What a build leaves behind of its time and place. */
interface Build {
  time: string
  owner: string
  level: number
}
const first: Build = { time: "2026-01-02 03:04:05.123456789", owner: "root", level: 6 }
const later: Build = { time: "2027-06-07 08:09:10", owner: "builder", level: 1 }

interface Layer {
  /** Contents by path; a link's begin with "→ ". */
  files: Record<string, string>
  mode?: number
}
const base: Layer[] = [{ files: { "usr/lib/python.py": "base", "etc/passwd": "root" } }]
const venv: Layer = {
  files: { "opt/venv/a.py": "a = 1", "opt/venv/b.py": "b = 2", "opt/venv/link": "→ a.py", ".wh.gone": "" },
}
const own: Layer = { files: { "app/main.py": "print(1)", "app/run": "#!/bin/sh" }, mode: 0o750 }
const app = [venv, own]
const withFiles = (layer: Layer, files: Layer["files"]): Layer => ({
  ...layer,
  files: { ...layer.files, ...files },
})

/** Equal layers of a build have equal bytes, although tar also writes when a file was looked at. */
function tarOf(layer: Layer, build: Build): Buffer {
  const key = JSON.stringify([layer, build])
  const tar = tars.get(key) ?? newTar(layer, build)
  tars.set(key, tar)
  return tar
}
const tars = new Map<string, Buffer>()

function newTar({ files, mode = 0o644 }: Layer, { time, owner }: Build): Buffer {
  const root = fresh()
  mkdirSync(root)
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    if (content.startsWith("→ ")) execFileSync("ln", ["-s", content.slice(2), join(root, path)])
    else writeFileSync(join(root, path), content, { mode })
  }
  const options = [
    "--format=pax",
    `--mtime=${time}`,
    `--owner=${owner}:0`,
    `--group=${owner}:0`,
    "--sort=name",
  ]
  return execFileSync("tar", [...options, "-cf", "-", "-C", root, "--files-from=-"], {
    input: readdirSync(root).sort().join("\n"),
  })
}

/** An OCI layout in a tar file. */
function layout(layers: Layer[], build = first, more: object = {}): string {
  const root = fresh()
  const blobs = join(root, "blobs/sha256")
  mkdirSync(blobs, { recursive: true })
  const put = (bytes: Buffer) => {
    writeFileSync(join(blobs, sha256(bytes)), bytes)
    return { digest: `sha256:${sha256(bytes)}`, size: bytes.length }
  }
  const theirs = layers.filter((layer) => base.includes(layer)).length
  const all = layers.map((layer, at) => tarOf(layer, at < theirs ? first : build))
  const config = {
    architecture: "amd64",
    os: "linux",
    created: build.time,
    history: [{ created: build.time, created_by: build.owner }],
    config: { Env: ["A=1"], User: "10001", Labels: { b: "2", a: "1" } },
    rootfs: { type: "layers", diff_ids: all.map((tar) => `sha256:${sha256(tar)}`) },
    ...more,
  }
  const mediaType = "application/vnd.oci.image.layer.v1.tar+gzip"
  const manifest = {
    schemaVersion: 2,
    config: {
      mediaType: "application/vnd.oci.image.config.v1+json",
      ...put(Buffer.from(JSON.stringify(config))),
    },
    layers: all.map((tar, at) => ({
      mediaType,
      ...put(gzipSync(tar, { level: at < theirs ? 6 : build.level })),
    })),
  }
  const index = { schemaVersion: 2, manifests: [{ ...put(Buffer.from(JSON.stringify(manifest))) }] }
  writeFileSync(join(root, "index.json"), JSON.stringify(index))
  const file = `${root}.tar`
  execFileSync("tar", ["-cf", file, "-C", root, "blobs", "index.json"])
  return file
}

function run(image: string, from: string, cache = fresh()) {
  const out = fresh()
  const { status, stderr } = spawnSync("python3", [script, "normalise", image, from, cache, out], {
    encoding: "utf8",
  })
  return { status, stderr, out, cache }
}

interface Manifest {
  config: { digest: string }
  layers: { digest: string; size: number; mediaType: string }[]
}
function read(out: string) {
  const blob = (digest: string) => readFileSync(join(out, "blobs", digest.replace(":", "/")))
  const index = JSON.parse(readFileSync(join(out, "index.json"), "utf8")) as {
    manifests: { digest: string; platform: object }[]
  }
  const [top] = index.manifests
  const manifest = JSON.parse(blob(top?.digest ?? "").toString()) as Manifest
  const config = JSON.parse(blob(manifest.config.digest).toString()) as Record<string, unknown>
  return { top, manifest, config, blob }
}
const listing = (layer: Buffer) =>
  execFileSync("tar", ["--full-time", "--numeric-owner", "--utc", "-tvf", "-"], { input: gunzipSync(layer) })
    .toString()
    .trim()
    .split("\n")

describe("an image whose times and owners are taken out", () => {
  const image = [...base, ...app]
  const from = layout(base)

  it("has the digest of one that was built of the same files at another time, by others and packed otherwise", () => {
    const [one, other] = [run(layout(image), from), run(layout(image, later), from)]
    expect([one.status, one.stderr, other.status, other.stderr]).toEqual([0, "", 0, ""])
    expect(read(one.out).top).toEqual(read(other.out).top)
    expect(read(one.out).top).toMatchObject({ platform: { architecture: "amd64", os: "linux" } })
  })

  it.each<[string, Layer[], object]>([
    ["content", [venv, withFiles(own, { "app/main.py": "print(2)" })], {}],
    ["permission", [venv, { ...own, mode: 0o755 }], {}],
    ["link", [withFiles(venv, { "opt/venv/link": "→ b.py" }), own], {}],
    ["name", [withFiles(venv, { "opt/venv/c.py": "" }), own], {}],
    ["setting", app, { config: { Env: ["A=2"] } }],
    ["platform", app, { architecture: "arm64", variant: "v8" }],
  ])("has another digest with another %s", (_, layers, more) => {
    const other = run(layout([...base, ...layers], first, more), from)
    expect(other.stderr).toBe("")
    expect(read(other.out).top).not.toEqual(read(run(layout(image), from).out).top)
  })

  it("keeps the base's layers byte by byte, and the files of all others", () => {
    const file = layout(image)
    const { manifest, config, blob } = read(run(file, from).out)
    const [theirs] = read(run(from, from).out).manifest.layers
    expect(manifest.layers[0]).toEqual(theirs)
    const [, second, third] = manifest.layers.map(({ digest }) => listing(blob(digest)))
    expect(second?.map((line) => line.replace(/ \d{4}-.*? (?=\S+( ->.*)?$)/, " ")).join("\n")).toMatch(
      /\.wh\.gone\n.*opt\/\n.*opt\/venv\/\n.*opt\/venv\/a\.py\n.*opt\/venv\/b\.py\n.*opt\/venv\/link -> a\.py$/,
    )
    expect(third?.find((line) => line.endsWith("app/run"))).toMatch(/^-rwxr-x--- 0\/0 +9 /)
    const { diff_ids: diffs } = config.rootfs as { diff_ids: string[] }
    expect(diffs.slice(1)).toEqual(
      manifest.layers.slice(1).map(({ digest }) => `sha256:${sha256(gunzipSync(blob(digest)))}`),
    )
    expect(config).toMatchObject({ created: "1970-01-01T00:00:00Z", config: { User: "10001" } })
    expect(config).not.toHaveProperty("history")
  })

  it("has files of equal size with other times when their contents differ: servers tell them apart by that", () => {
    const { manifest, blob } = read(run(layout(image), from).out)
    const times = listing(blob(manifest.layers[1]?.digest ?? "")).flatMap(
      (line) => /(\d{4}-\S+ \S+) opt\/venv\/[ab]\.py$/.exec(line)?.[1] ?? [],
    )
    expect(new Set(times).size).toBe(2)
  })

  it("is made of layers that an earlier run has normalised, where they are equal", () => {
    const { cache } = run(layout(image), from)
    const files = () => readdirSync(cache).sort()
    const before = files()
    expect(before).toHaveLength(4)
    const changed = [...base, venv, withFiles(own, { "app/main.py": "print(2)" })]
    const again = run(layout(changed), from, cache)
    expect(again.stderr).toBe("")
    expect(files()).toHaveLength(6)
    expect(before.every((file) => existsSync(join(cache, file)))).toBe(true)
    expect(read(again.out).top).toEqual(read(run(layout(changed), from).out).top)
  })

  it("may have no base", () => {
    const { status, stderr, out } = run(layout(app), "-")
    expect([status, stderr]).toEqual([0, ""])
    expect(read(out).manifest.layers).toHaveLength(2)
  })

  it("has no layer in which nothing is", () => {
    const { out } = run(layout([...base, { files: {} }, ...app]), from)
    expect(read(out).top).toEqual(read(run(layout(image), from).out).top)
  })

  it("is refused when it does not begin with its base, and when it was cut off", () => {
    expect(run(layout(app), from).stderr).toContain("its first layers are not those of its base")
    const file = layout(image)
    writeFileSync(file, readFileSync(file).subarray(0, 3_000))
    const { status, cache } = run(file, from)
    expect(status).not.toBe(0)
    expect(existsSync(cache) ? readdirSync(cache).filter((name) => name.endsWith(".json")) : []).toEqual([])
  })
})

describe("what differs between two images", () => {
  const compare = (one: string, other: string) =>
    spawnSync("python3", [script, "compare", one, other], { encoding: "utf8" })
  const normal = (layers: Layer[]) => run(layout([...base, ...layers]), layout(base)).out

  it("is nothing between builds of the same files", () => {
    const { status, stdout, stderr } = compare(
      normal(app),
      run(layout([...base, ...app], later), layout(base)).out,
    )
    expect([status, stdout, stderr]).toEqual([0, "", ""])
  })

  it("is named: file, layer, and what about it", () => {
    const other = [
      withFiles(venv, { "opt/venv/c.py": "new" }),
      { ...withFiles(own, { "app/main.py": "print(22)" }), mode: 0o755 },
    ]
    expect(compare(normal(app), normal(other)).stdout.trim().split("\n")).toEqual([
      expect.stringMatching(/^layer 2: opt\/venv\/c\.py: only in the second$/),
      expect.stringMatching(
        /^layer 3: app\/main\.py: content \w{12} → \w{12}, mode 0750 → 0755, size 8 → 9, time \d+ → \d+$/,
      ),
      expect.stringMatching(/^layer 3: app\/run: mode 0750 → 0755$/),
    ])
    expect(compare(normal(app), normal([venv])).stdout).toContain("layer 3: app/run: only in the first\n")
  })
})

describe("what is in an image", () => {
  const look = (layers: Layer[], under: Layer[] = base) => {
    const image = run(layout([...under, ...layers]), layout(under)).out
    const { status, stdout, stderr } = spawnSync("python3", [script, "contents", image, layout(under)], {
      encoding: "utf8",
    })
    expect([status, stderr]).toEqual([0, ""])
    return { ...readContents(stdout), layersOf: read(image).manifest.layers }
  }
  const site = "opt/venv/lib/python3.11/site-packages"
  const packages: Layer = {
    files: {
      [`${site}/scipy/a.py`]: "x".repeat(700),
      [`${site}/scipy.libs/b.so`]: "x".repeat(20),
      [`${site}/scipy-1.12.0.dist-info/METADATA`]: "x".repeat(3),
      [`${site}/six.py`]: "x".repeat(40),
    },
  }
  const shell: Layer = { files: { "usr/bin/dash": "shell", "usr/bin/sh": "→ dash" }, mode: 0o755 }

  it("is the size of its layers as they are pushed, by the folder that each fills", () => {
    const { base: below, layers, layersOf } = look([packages, own, { files: { "app/openapi.json": "{}" } }])
    const [theirs, ...sizes] = layersOf.map(({ size }) => size)
    expect(below).toBe(theirs)
    expect(layers).toEqual({ [`/${site}`]: sizes[0], "/app": sizes[1], "/app/openapi.json": sizes[2] })
  })

  it("is the size of the files that stay, by package or folder", () => {
    const later: Layer = { files: { [`${site}/.wh.six.py`]: "", "app/recipes/data/deep/model.bin": "12345" } }
    const { parts } = look([packages, later, own])
    expect(parts).toEqual({ [`${site}/scipy`]: 723, "app/recipes/data": 5, app: 17 })
  })

  it("is every program that no later layer takes away: files, folders, and all that a folder had", () => {
    const programs = (...layers: Layer[]) => look(layers, [...base, shell]).programs
    expect(programs()).toEqual(["usr/bin/dash"])
    expect(programs({ files: { "usr/bin/.wh.dash": "" } }, own)).toEqual(["app/main.py", "app/run"])
    expect(programs({ files: { "usr/.wh.bin": "" } }, own)).not.toContain("usr/bin/dash")
    expect(programs({ files: { "usr/bin/.wh..wh..opq": "" } }, own)).not.toContain("usr/bin/dash")
    expect(programs({ files: { "usr/bin": "→ /nowhere" } }, own)).not.toContain("usr/bin/dash")
    expect(programs({ files: { "usr/bin/.wh.dash": "" } }, shell)).toEqual(["usr/bin/dash"])
  })

  it("is what Python runs, too: packages with a main module, and wheels", () => {
    const files = {
      [`${site}/pip/__main__.py`]: "",
      [`${site}/pip/a.py`]: "",
      "usr/share/w/pip-1-any.whl": "",
    }
    expect(look([{ files }]).programs).toEqual([`${site}/pip/__main__.py`, "usr/share/w/pip-1-any.whl"])
  })

  it("is not told of an image that does not begin with its base, or that was cut off", () => {
    const contents = (image: string) =>
      spawnSync("python3", [script, "contents", image, layout(base)], { encoding: "utf8" })
    expect(contents(layout(app)).stderr).toContain("its first layers are not those of its base")
    const file = layout([...base, ...app])
    writeFileSync(file, readFileSync(file).subarray(0, 3_000))
    expect(contents(file)).toMatchObject({ stdout: "" })
    expect(contents(file).status).not.toBe(0)
  })
})
