// The documents against the code: every command in them is one that the module accepts, and every link leads somewhere.
import { execFileSync } from "node:child_process"
import { existsSync, readFileSync } from "node:fs"
import { dirname, join, normalize } from "node:path"
import ts from "typescript"
import { describe, expect, it } from "vitest"

const repository = join(import.meta.dirname, "../..")
const read = (path: string) => readFileSync(join(repository, path), "utf8")
const tracked = (...patterns: string[]) =>
  execFileSync("git", ["ls-files", "-z", ...patterns], { cwd: repository, encoding: "utf8" })
    .split("\0")
    .filter(Boolean)

interface Flag {
  takesValue: boolean
  required: boolean
}
interface Callable {
  flags: Map<string, Flag>
  returns: string
}

/** Dagger's names of functions and flags: `f1Backend` is `f-1-backend`. */
const kebab = (name: string) =>
  name.replace(/([a-z])([A-Z0-9])|([0-9])([A-Za-z])/g, "$1$3-$2$4").toLowerCase()

function flagsOf(parameters: readonly ts.ParameterDeclaration[]): Map<string, Flag> {
  return new Map(
    parameters.flatMap((one): [string, Flag][] => {
      const type =
        one.type?.getText() ?? (one.initializer?.getText().match(/^(true|false)$/) ? "boolean" : "")
      // The engine gives the caller's checkout by itself.
      if (type === "Workspace") return []
      const required = !one.questionToken && !one.initializer && !one.getText().includes("defaultPath")
      return [[kebab(one.name.getText()), { takesValue: type !== "boolean", required }]]
    }),
  )
}

/** The functions of the module's objects, by the class that has them. */
const objects = new Map<string, { flags: Map<string, Flag>; functions: Map<string, Callable> }>()
for (const path of tracked("dagger/src/index.ts", "dagger/src/api/*.ts")) {
  const source = ts.createSourceFile(path, read(path), ts.ScriptTarget.ESNext, true)
  for (const one of source.statements.filter(ts.isClassDeclaration)) {
    const exposed = one.members
      .filter((member) => ts.isMethodDeclaration(member) || ts.isPropertyDeclaration(member))
      .filter((member) => ts.getDecorators(member)?.some((decorator) => /^@func\b/.test(decorator.getText())))
    const made = one.members.find(ts.isConstructorDeclaration)
    objects.set(one.name?.text ?? "", {
      flags: flagsOf(made?.parameters ?? []),
      functions: new Map(
        exposed.map((member) => [
          kebab(member.name.getText()),
          {
            flags: flagsOf(ts.isMethodDeclaration(member) ? member.parameters : []),
            returns: (member.type?.getText() ?? "").replace(/^Promise<(.*)>$/, "$1"),
          },
        ]),
      ),
    })
  }
}

/** What the documents do with the engine's own types. */
const core: Record<string, Record<string, Flag>> = {
  export: { path: { takesValue: true, required: true } },
  up: { ports: { takesValue: true, required: false } },
  hostname: {},
}

/** Words of a shell command, up to where the shell does something else with it. */
function wordsOf(command: string): string[] {
  const words: string[] = []
  for (const [whole] of command.matchAll(/(?:"[^"]*"|'[^']*'|[^\s"'|;&#>])+|[|;&#>]/g)) {
    if (/^[|;&#>]$/.test(whole)) break
    words.push(whole)
  }
  return words
}

/** What is wrong with the words behind `./daggerw call`. */
function faultOf(words: string[]): string | undefined {
  let type = "Pitwall"
  let callable: Callable | undefined = {
    flags: objects.get(type)?.flags ?? new Map<string, Flag>(),
    returns: type,
  }
  let given = new Set<string>()
  const missing = () =>
    [...(callable?.flags ?? [])]
      .filter(([name, { required }]) => required && !given.has(name))
      .map(([name]) => name)
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? ""
    const [, name, value] = /^--([a-z0-9-]+)(=.*)?$/.exec(word) ?? []
    if (name === "help") return undefined
    if (name !== undefined) {
      const flag = callable.flags.get(name)
      if (!flag) return `no flag --${name}`
      given.add(name)
      if (flag.takesValue && value === undefined && words[++at] === undefined) return `no value of --${name}`
      continue
    }
    if (missing().length > 0) return `without --${missing().join(", --")}`
    given = new Set()
    const next: Callable | undefined = objects.get(type)?.functions.get(word)
    const inherited = objects.has(type) ? undefined : core[word]
    if (!next && !inherited) return `${type} has no function ${word}`
    type = next?.returns ?? ""
    callable = next ?? { flags: new Map(Object.entries(inherited ?? {})), returns: "" }
  }
  return missing().length > 0 ? `without --${missing().join(", --")}` : undefined
}

const documents = tracked("README.md", "docs/*.md", "services/**/*.md", ".env.example")
const sources = [...documents, ...tracked("dagger/src/index.ts", ".github/**/*.yml")]

/** Commands in a text, without `./daggerw call`. */
function callsIn(text: string): string[] {
  const joined = text.replace(/\\\n\s*/g, " ").replace(/^ +(?:"?--)/gm, (flag) => ` ${flag.trim()}`)
  const whole = [...joined.matchAll(/\.\/daggerw call ([^`\n]*)/g)].map(([, rest = ""]) => rest)
  const short = [...joined.matchAll(/`… ([^`]*)`/g)].map(([, rest = ""]) => rest)
  return [...whole, ...short].filter((rest) => /^[a-z-]/.test(rest) && !/ …( |$)/.test(rest))
}

describe("the commands", () => {
  it("are found", () => {
    expect(sources.flatMap((path) => callsIn(read(path))).length).toBeGreaterThan(80)
  })

  it.each(sources)("in %s are those that the module has", (path) => {
    const faults = callsIn(read(path)).flatMap((call) => {
      const fault = faultOf(wordsOf(call))
      return fault === undefined ? [] : [`${call}: ${fault}`]
    })
    expect(faults).toEqual([])
  })

  it.each([
    ["deploy", "without --env"],
    ["deploy --env", "no value of --env"],
    ["deploy --evn staging", "no flag --evn"],
    ["depoly --env staging", "Pitwall has no function depoly"],
    ["report export", "without --path"],
    ["plan --env staging yaml", "Output has no function yaml"],
    ["plan --kubeconfig file://here --env staging", "no flag --kubeconfig"],
  ])("would not be %j", (call, fault) => {
    expect(faultOf(wordsOf(call))).toBe(fault)
  })

  it("of npm exist", () => {
    const { scripts } = JSON.parse(read("package.json")) as { scripts: Record<string, string> }
    const named = documents
      .filter((path) => !path.startsWith("services/"))
      .flatMap((path) => [...read(path).matchAll(/npm run ([a-z:-]+)/g)].map(([, name = ""]) => name))
    expect(named.filter((name) => !(name in scripts))).toEqual([])
  })
})

it("the documents name every function of the module", () => {
  const functions = [...(objects.get("Pitwall")?.functions ?? [])]
    .filter(([, { returns }]) => !objects.has(returns) || returns === "Output")
    .map(([name]) => name)
  const text = [read("README.md"), ...tracked("docs/*.md").map(read)].join("\n")
  // Such as `./daggerw call plan …`, `… plan`, `plan --env` or `call plan`.
  const isNamed = (name: string) => new RegExp(`(\`|… |call (--\\S+ \\S+ )*)${name}\\b`).test(text)
  expect(functions.filter((name) => !isNamed(name))).toEqual([])
})

describe("the links", () => {
  /** The ids that GitHub gives headings. */
  const anchors = (text: string) =>
    [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) =>
      heading
        .toLowerCase()
        .replace(/[^\p{L}\p{N} _-]/gu, "")
        .replaceAll(" ", "-"),
    )

  it.each(tracked("README.md", "docs/*.md"))("in %s lead somewhere", (path) => {
    const text = read(path).replace(/```[\s\S]*?```/g, "")
    const broken = [...text.matchAll(/\]\(([^)\s]+)\)/g)].flatMap(([, target = ""]) => {
      if (/^https?:/.test(target)) return []
      const [file = "", anchor] = target.split("#")
      const to = file === "" ? path : normalize(join(dirname(path), file))
      if (!existsSync(join(repository, to))) return [target]
      return anchor === undefined || anchors(read(to)).includes(anchor) ? [] : [target]
    })
    expect(broken).toEqual([])
  })
})
