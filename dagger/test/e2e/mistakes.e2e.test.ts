// Mistakes that people make, one by one, in a copy of the repository: the last line of the output names the cause, with its file and line where it has one.
import { execFile } from "node:child_process"
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { promisify } from "node:util"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { copyOfTheRepository, daggerw } from "./daggerw.js"

interface Mistake {
  mistake: string
  command: string
  /** Changes a file; the test restores it. */
  plant?: { file: string; change: (text: string) => string }
  /** The last line. */
  last: RegExp | string
  /** A line above it. */
  cause?: RegExp
}

const append = (file: string, text: string) => ({ file, change: (before: string) => before + text })
const replace = (file: string, text: string) => ({ file, change: () => text })

const names: Mistake[] = [
  {
    mistake: "a function",
    command: "call cii",
    last: 'Error: unknown command "cii" for "dagger call"',
  },
  { mistake: "a flag", command: "call ci --onyl api", last: "Error: unknown flag: --onyl" },
  { mistake: "no flag", command: "call status", last: 'Error: required flag(s) "env" not set' },
  {
    mistake: "a group of gates",
    command: "call ci --only apii",
    last: /^Error: there are no gates for "apii"; allowed: api, f1-backend, /,
  },
  {
    mistake: "a gate",
    command: "call test --gate api:tset",
    last: /^Error: there is no gate "api:tset"; allowed: .*api:test, /,
  },
  {
    mistake: "a gate without tests",
    command: "call test --gate api:format",
    last: /^Error: api:format runs no tests; allowed: .*api:test, /,
  },
  {
    mistake: "a gate without a formatter",
    command: "call fix --gate api:test export --path .",
    last: /^Error: the tool of api:test changes no files; allowed: .*api:format, /,
  },
  { mistake: "a check", command: "check api:tset", last: "daggerw: no check matches api:tset" },
  { mistake: "a service to start", command: "up webb:serve", last: "daggerw: no service matches webb:serve" },
  {
    mistake: "an environment",
    command: "call --kubeconfig KUBE:loopback status --env stagin text",
    last: 'Error: there is no environment "stagin"; allowed: staging, production',
  },
  {
    mistake: "a fault",
    command: "call rehearse --fault rain",
    last: /^Error: there is no fault "rain"; allowed: none, /,
  },
  {
    mistake: "a strategy",
    command: "call rehearse --fault none --strategy purple",
    last: 'Error: there is no strategy "purple"; allowed: blue-green, canary',
  },
  {
    mistake: "a service",
    command: "call rehearse --fault none --service nope",
    last: "Error: staging has no service nope; allowed: api, f1-backend",
  },
  {
    mistake: "an image",
    command: "call --kubeconfig KUBE:loopback plan --env staging --image api text",
    last: /^Error: "api" names no image; allowed: SERVICE=REPOSITORY@sha256:/,
  },
  {
    mistake: "a release",
    command: "call --kubeconfig KUBE:loopback plan --env staging --release next.json text",
    last: "Error: --release: there is no file next.json in this repository; allowed: a file in this repository that publish made, or REPOSITORY/release@sha256:…",
  },
  {
    mistake: "a release in the registry",
    command: "call --kubeconfig KUBE:loopback plan --env staging --release registry.invalid/release:v1 text",
    last: /^Error: --release: there is no file registry\.invalid\/release:v1 in this repository; allowed: /,
  },
  {
    mistake: "a peer",
    command: "call rehearse --fault none --peer nope",
    last: 'Error: there is no peer "nope"; allowed: kubectl, argo-rollouts, flagger',
  },
  {
    mistake: "a duration",
    command: "call load-test --duration 5x",
    last: /^Error: "5x" is not a duration; allowed: /,
  },
  {
    mistake: "a number of users",
    command: "call load-test --users 0",
    last: "Error: 0 users are no load; allowed: 1 and more",
  },
  {
    mistake: "a platform",
    command: "call build --platform linux/riscv64",
    last: 'Error: there are no images for the platform "linux/riscv64"; allowed: linux/amd64, linux/arm64',
  },
  {
    mistake: "a service to build",
    command: "call build --only apii",
    last: /^Error: there is no service "apii"; allowed: .*api, /,
  },
  {
    mistake: "a library to build",
    command: "call build --only servicekit",
    last: /^Error: servicekit has no image; allowed: api, /,
  },
  {
    mistake: "a service to publish",
    command: "call publish --only servicekit export --path release.json",
    last: "Error: no environment deploys servicekit; allowed: api, f1-backend",
  },
  {
    mistake: "a web app",
    command: "call frontend-infrastructure --env staging --app web",
    last: /^Error: staging has no web app web; allowed: none, until dagger\/config\/deploy\.yaml has /,
  },
  {
    mistake: "the name of a preview",
    command: "call preview --name PR-12",
    last: /^Error: --name: "PR-12" is no name of a preview; allowed: a label of a host name, .* such as pr-12, /,
  },
  {
    mistake: "an age",
    command: "call prune-history --env staging --older-than 1y",
    last: /^Error: "1y" is not a duration; allowed: /,
  },
  {
    mistake: "a path",
    command: "call ci --from nope.json",
    last: 'Error: failed to get value for argument "from": stat nope.json: no such file or directory',
  },
  {
    mistake: "a secrets file",
    command: "call --secrets file://nope.env ci --only module",
    last: /^Error: failed to read secret file "nope.env": .*no such file or directory$/,
  },
]

const kubeconfig = (server: string) => `apiVersion: v1
kind: Config
current-context: here
contexts: [{ name: here, context: { cluster: here, user: me } }]
clusters: [{ name: here, cluster: { server: "${server}" } }]
users: [{ name: me, user: { token: planted } }]
`
const kubeconfigs: Record<string, string> = {
  loopback: kubeconfig("https://127.0.0.1:6443"),
  unknown: kubeconfig("https://cluster.invalid:6443"),
  context: kubeconfig("https://cluster.invalid:6443").replace(
    "current-context: here",
    "current-context: there",
  ),
  broken: "{ not: [yaml\n",
  page: "<html>Please sign in</html>\n",
  empty: "",
}

const clusters: Mistake[] = [
  ["none", "", /^Error: no cluster is named: put KUBECONFIG=file:\/\/… into \.env, or give --kubeconfig /],
  [
    "a missing file",
    "file://nope",
    /^Error: failed to read secret file "nope": .*no such file or directory$/,
  ],
  ["a command that fails", "cmd://false", /^Error: failed to run secret command "false": exit status 1$/],
  [
    "this machine's own address",
    "KUBE:loopback",
    /^Error: the kubeconfig cannot be used: its server is 127\.0\.0\.1:6443, which in the container .*kubectl config set-cluster/,
  ],
  [
    "an unknown host",
    "KUBE:unknown",
    "Error: the API server cannot be reached: getaddrinfo ENOTFOUND cluster.invalid",
  ],
  ["an unknown context", "KUBE:context", 'Error: the kubeconfig names no context "there"; it has here'],
  [
    "broken YAML",
    "KUBE:broken",
    "Error: the kubeconfig cannot be read: it is not a YAML document of kind Config",
  ],
  [
    "a web page",
    "KUBE:page",
    "Error: the kubeconfig cannot be read: the document: must be a mapping, not text",
  ],
].map(([mistake = "", value = "", last = ""]) => ({
  mistake: String(mistake),
  command: `call ${value === "" ? "" : `--kubeconfig ${String(value)} `}status --env staging text`,
  last,
}))

// The command that reads each file.
const readers = {
  services: "call ci --only servicekit",
  deploy: "call --kubeconfig KUBE:loopback status --env staging text",
  security: "check security:licences",
  rehearsal: "call rehearse --fault none",
}

const configuration: Mistake[] = (["services", "deploy", "security", "rehearsal"] as const).flatMap(
  (name) => {
    const file = `dagger/config/${name}.yaml`
    return [
      {
        mistake: `a syntax error in ${name}.yaml`,
        command: readers[name],
        plant: append(file, "\nplanted: [1, 2\nbar: }\n"),
        last: new RegExp(`${file}:\\d+: .*(end with a \\]|flow-map-end)`),
      },
      {
        mistake: `an unknown key in ${name}.yaml`,
        command: readers[name],
        plant: append(file, "\nplanted: 6\n"),
        last: new RegExp(`${file}:\\d+: the whole file: no such key: planted; allowed: `),
      },
      {
        mistake: `nothing in ${name}.yaml`,
        command: readers[name],
        plant: replace(file, ""),
        last: new RegExp(`${file}:1: the file is empty$`),
      },
    ]
  },
)

const tools: Mistake[] = [
  ["security:sast", "dagger/config/semgrep/python.yaml"],
  ["security:bandit", "dagger/config/bandit/bandit.yaml"],
  ["security:secrets", "dagger/config/trivy/secrets.yaml"],
].map(([gate = "", file = ""]) => ({
  mistake: `a syntax error in ${file}`,
  command: `check ${gate}`,
  plant: append(file, "\nplanted: [1, 2\nbar: }\n"),
  last: new RegExp(`^${file}:\\d+: `),
}))

const platform: Mistake[] = [
  {
    mistake: "a backend that is none",
    command: "call ci --only servicekit",
    plant: {
      file: "dagger/config/services.yaml",
      change: (text: string) => text.replace("backend: api", "backend: apii"),
    },
    last: /^(Error: )?dagger\/config\/services\.yaml:\d+: services\.web\.backend: no such backend \(found "apii"\); allowed: /,
  },
  {
    mistake: "a port that two services have",
    command: "call ci --only servicekit",
    plant: {
      file: "dagger/config/services.yaml",
      change: (text: string) => text.replace("port: 8001", "port: 8000"),
    },
    last: /services\.yaml:\d+: services\.f1-backend\.port: another port than that of api \(found 8000\)$/,
  },
]

/** Before the last stage, which has no shell in the end. */
const brokenStep = {
  file: "services/api/Dockerfile",
  change: (text: string) => text.replace("WORKDIR /build\n", "WORKDIR /build\nRUN exit 3\n"),
}

const source: Mistake[] = [
  {
    mistake: "a syntax error in the module",
    command: "call faults",
    plant: append("dagger/src/lib/text.ts", "\nexport const planted = {\n"),
    last: /dagger\/src\/lib\/text\.ts:\d+/,
  },
  {
    mistake: "an unknown instruction in a Dockerfile",
    command: "check api:image",
    plant: append("services/api/Dockerfile", "RUNN exit 3\n"),
    last: /^services\/api\/Dockerfile:\d+: .*unknown instruction: RUNN/,
  },
  {
    mistake: "a command that fails in a Dockerfile",
    command: "check api:image",
    plant: brokenStep,
    last: /^services\/api\/Dockerfile:\d+: RUN exit 3: exit code 3$/,
  },
  {
    mistake: "a command that fails in a Dockerfile of an image to build",
    command: "call build --only api",
    plant: brokenStep,
    last: /^services\/api\/Dockerfile:\d+: RUN exit 3: exit code 3$/,
  },
  {
    mistake: "a type error",
    command: "check servicekit:types",
    plant: append("services/servicekit/src/servicekit/__init__.py", '\nplanted: int = "no"\n'),
    last: /^Found 1 error in 1 file /,
    cause: /^services\/servicekit\/src\/servicekit\/__init__\.py:\d+: error: Incompatible types /m,
  },
  {
    mistake: "an unused import",
    command: "check servicekit:lint",
    plant: append("services/servicekit/src/servicekit/__init__.py", "\nimport os\n"),
    last: /./,
    cause: /^services\/servicekit\/src\/servicekit\/__init__\.py:\d+:1: F401 /m,
  },
  {
    mistake: "a type error of a web app",
    command: "check frontend-kit:types",
    plant: append("services/frontend-kit/src/index.ts", '\nexport const planted: number = "no"\n'),
    last: /^services\/frontend-kit\/src\/index\.ts\(\d+,14\): error TS2322: /,
  },
  {
    mistake: "a file that a Dockerfile copies and nobody has",
    command: "check api:image",
    plant: append("services/api/Dockerfile", "COPY planted.txt /planted.txt\n"),
    last: /^services\/api\/Dockerfile:\d+: COPY planted\.txt \/planted\.txt: not found$/,
  },
]

let copy: string
let kubes: string
beforeAll(async () => {
  copy = await copyOfTheRepository()
  kubes = await mkdtemp(join(tmpdir(), "pitwall-kubeconfigs-"))
  for (const [name, text] of Object.entries(kubeconfigs)) await writeFile(join(kubes, name), text)
})
afterAll(async () => {
  await rm(copy, { recursive: true, force: true })
  await rm(kubes, { recursive: true, force: true })
})

const run = (command: string) =>
  daggerw(
    command.split(" ").map((word) => word.replace(/^KUBE:/, `file://${kubes}/`)),
    copy,
  ).ended

const lastLine = (text: string) => text.trimEnd().split("\n").at(-1) ?? ""

async function planted<Result>(plant: Mistake["plant"], body: () => Promise<Result>): Promise<Result> {
  if (!plant) return body()
  const path = join(copy, plant.file)
  const before = await readFile(path, "utf8")
  await writeFile(path, plant.change(before))
  try {
    return await body()
  } finally {
    await writeFile(path, before)
  }
}

describe.each([
  ["a name is wrong", names],
  ["a kubeconfig is wrong", clusters],
  ["a configuration file is wrong", [...configuration, ...platform]],
  ["the settings of a tool are wrong", tools],
  ["source is wrong", source],
])("when %s", (_, mistakes) => {
  it.each(mistakes)("$mistake", async ({ command, plant, last, cause = /(?:)/ }) => {
    const { code, stdout, stderr } = await planted(plant, () => run(command))
    const line = lastLine(stderr)
    if (typeof last === "string") expect(line, stderr).toBe(last)
    else expect(line, stderr).toMatch(last)
    expect(stderr).toMatch(cause)
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" })
  })
})

it("a formatter that fails prints the command that fixes it, and that command does", async () => {
  const file = "services/servicekit/tests/planted_format.py"
  await writeFile(join(copy, file), "PLANTED = 'single quotes'\n")
  try {
    const { code, stderr } = await run("check servicekit:format")
    expect(code).toBe(1)
    const [, command = ""] = /^fix: (.*)$/.exec(lastLine(stderr)) ?? []
    expect(command, stderr).not.toBe("")
    await promisify(execFile)("sh", ["-c", command], { cwd: copy })
    expect(await readFile(join(copy, file), "utf8")).toBe('PLANTED = "single quotes"\n')
    expect((await run("check servicekit:format")).code).toBe(0)
  } finally {
    await rm(join(copy, file), { force: true })
  }
})

it("a secret is found in a file that git tracks, although .gitignore excludes it", async () => {
  const git = (...args: string[]) => promisify(execFile)("git", args, { cwd: copy })
  const file = "reports/settings.env"
  // In parts: a scanner would take it for a real one.
  const key = ["AKIA", "QWERTYUIOPASDFGH"].join("")
  await mkdir(join(copy, "reports"))
  await writeFile(join(copy, file), `AWS_ACCESS_KEY_ID=${key}\n`)
  try {
    await git("init", "--quiet")
    expect((await run("check security:secrets")).code, "a file of one's own").toBe(0)
    await git("add", "--force", file)
    const { code, stderr } = await run("check security:secrets")
    expect(code, stderr).toBe(1)
    expect(stderr).toContain(`${file}:1`)
    expect(stderr).not.toContain(key)
  } finally {
    await rm(join(copy, "reports"), { recursive: true, force: true })
    await rm(join(copy, ".git"), { recursive: true, force: true })
  }
})
