import { inRepository } from "./paths.js"
import { oneLine, plain } from "../../lib/text.js"
import { children, type Element, number, parseXml, UnreadableReport } from "../../lib/xml.js"

export type TestOutcome = "passed" | "failed" | "skipped"

export interface TestCase {
  /** What it belongs to: a module of tests, or a file. */
  suite: string
  name: string
  /** In the repository, where its tool says so. */
  file?: string
  /** Where it failed. */
  line?: number
  seconds: number
  outcome: TestOutcome
  /** It broke before or after what it tests, as a fixture does. */
  broken: boolean
  /** It passed, but not at its first try. */
  flaky: boolean
  /** In one line: why it failed, or was skipped. */
  message: string
  /** What its tool has to say of the failure. */
  detail: string
  /** The arguments with which its tool runs just this, in its folder. */
  select: string[]
  /** Files that it left, as pictures of a browser. */
  attachments: string[]
}

/** As the tools count: a test that failed, and whose clean-up failed as well, is one failure and one error. */
export interface Counts {
  tests: number
  passed: number
  failed: number
  errors: number
  skipped: number
  /** Of those that passed. */
  flaky: number
}

export interface TestReport {
  cases: TestCase[]
  counts: Counts
}

/**
 * Reads JUnit XML as pytest, Vitest and Playwright write it.
 *
 * @param folder where in the repository the tool ran
 * @throws UnreadableReport where it is cut off, or no JUnit report
 */
export function parseJunit(xml: string, folder = ""): TestReport {
  const root = parseXml(xml)
  if (!["testsuites", "testsuite"].includes(root.name)) {
    throw new UnreadableReport(`is no JUnit report: its root is <${root.name}>`)
  }
  // Playwright alone gives its root an id, and its suites the project for a host.
  const browser = root.name === "testsuites" && root.attributes.id !== undefined
  const found = suites(root).flatMap((suite) => {
    const project = browser ? (suite.attributes.hostname ?? "") : ""
    return children(suite, "testcase").map((node) => ({
      node,
      test: testCase(node, suite, folder, browser, project),
    }))
  })
  const withChild = (name: string) => found.filter(({ node }) => children(node, name).length > 0).length
  const cases = merged(found.map(({ test }) => test))
  const ended = (outcome: TestOutcome) => cases.filter((test) => test.outcome === outcome).length
  return {
    cases,
    counts: {
      tests: cases.length,
      passed: ended("passed"),
      failed: withChild("failure"),
      errors: withChild("error"),
      skipped: ended("skipped"),
      flaky: cases.filter(({ flaky }) => flaky).length,
    },
  }
}

/** The counts in words, as "2 failed, 1 error, 4 skipped, 12 passed of 19 tests". */
export function inWords({ tests, passed, failed, errors, skipped, flaky }: Counts): string {
  if (tests === 0) return "no test ran"
  const parts = [
    failed > 0 && `${failed.toLocaleString("en-US")} failed`,
    errors > 0 && `${errors.toLocaleString("en-US")} ${errors === 1 ? "error" : "errors"}`,
    skipped > 0 && `${skipped.toLocaleString("en-US")} skipped`,
    `${passed.toLocaleString("en-US")} passed${flaky > 0 ? ` (${flaky} not at the first try)` : ""}`,
  ].filter((part) => part !== false)
  return `${parts.join(", ")} of ${tests.toLocaleString("en-US")} test${tests === 1 ? "" : "s"}`
}

function suites(element: Element): Element[] {
  const below = children(element, "testsuite").flatMap(suites)
  return element.name === "testsuite" ? [element, ...below] : below
}

function testCase(
  node: Element,
  suite: Element,
  folder: string,
  browser: boolean,
  project: string,
): TestCase {
  const { classname = "", name: written = "", time } = node.attributes
  const failures = [...children(node, "failure"), ...children(node, "error")]
  const skip = children(node, "skipped")[0]
  const detail = plain(failures.map(textOf).join("\n\n")).trim()
  const message = failures[0]?.attributes.message ?? skip?.attributes.message ?? detail
  const attachments = attached(node)
  const outcome = failures.length > 0 ? "failed" : skip ? "skipped" : "passed"
  const label = project === "" || written.startsWith(`[${project}]`) ? written : `[${project}] ${written}`
  const own = node.attributes.file ?? fileOf(classname, written)
  const place = locate(detail, own, folder) ?? stated(node, folder) ?? module(own, folder)
  return {
    suite: oneLine(classname === "" ? (suite.attributes.name ?? "") : classname),
    name: oneLine(label === "" ? "(a test without a name)" : label, 500),
    ...place,
    seconds: number(time),
    outcome,
    broken: children(node, "error").length > 0,
    flaky: outcome === "passed" && (retried(node) || failedOnce(node, attachments)),
    message: oneLine(message, 500),
    detail,
    select: browser ? browserSelect(classname, written, detail) : select(classname, written, own),
    attachments,
  }
}

/** The message, where it is not the beginning of the text. */
function textOf({ attributes, text }: Element): string {
  return text.trim() === "" ? (attributes.message ?? "") : text.replace(/^\s*\n/, "").trimEnd()
}

function retried(node: Element): boolean {
  return node.children.some(({ name }) => name === "flakyFailure" || name === "flakyError")
}

/** Playwright that was not asked to tell of retries still leaves the picture of the failed try. */
function failedOnce(node: Element, attachments: string[]): boolean {
  const properties = children(node, "properties").flatMap((list) => children(list, "property"))
  const meantToFail = properties.some(({ attributes }) => attributes.name === "fail")
  return !meantToFail && attachments.some((path) => /(^|\/)test-failed-\d+\.png$/.test(path))
}

function attached(node: Element): string[] {
  const tries = [node, ...node.children.filter(({ name }) => /^(flaky|rerun)/.test(name))]
  const printed = tries.flatMap((element) => children(element, "system-out")).map(({ text }) => text)
  return printed.flatMap((text) =>
    [...text.matchAll(/\[\[ATTACHMENT\|(.+?)\]\]/g)].map(([, path = ""]) => path),
  )
}

const script = /\.[cm]?[jt]sx?$/

/** The file of a test: JavaScript's tools name it as the class, pytest names the module. */
function fileOf(classname: string, name: string): string | undefined {
  if (script.test(classname)) return classname
  // A module that could not be collected is a test without a class.
  const steps = (classname === "" ? name : classname).split(".")
  const classes = steps.findIndex((step, at) => at > 0 && /^[A-Z]/.test(step))
  const modules = classes < 0 ? steps : steps.slice(0, classes)
  return modules.every((step) => /^\w+$/.test(step)) && /^(test_.*|.*_test)$/.test(modules.at(-1) ?? "")
    ? `${modules.join("/")}.py`
    : undefined
}

type Place = Pick<TestCase, "file" | "line">

/** `❯ points src/points.ts:2:27`, `at /services/web/e2e/race.spec.ts:4:136`, `tests/test_elo.py:13: AssertionError`. */
const places = [
  /^\s*❯ (?:.* )?(\S+?):(\d+):\d+$/gm,
  /^\s+at (?:.*\()?(\S+?):(\d+):\d+\)?$/gm,
  /^(\S[^:\n]*?):(\d+): /gm,
]

/** Where it failed: in its own file rather than in what it calls, and never in a library. */
function locate(detail: string, own: string | undefined, folder: string): Place | undefined {
  const found = places.flatMap((pattern) =>
    [...detail.matchAll(pattern)].flatMap(([, path = "", line]) => {
      const file = inRepository(path, folder)
      return file === undefined
        ? []
        : [{ file, line: Number(line), own: own !== undefined && isSame(path, own) }]
    }),
  )
  const best = found.find((place) => place.own) ?? found[0]
  return best && { file: best.file, line: best.line }
}

/** Playwright names a file below its own folder of tests. */
function isSame(path: string, own: string): boolean {
  return path === own || path.endsWith(`/${own}`)
}

/** What older tools write as attributes. */
function stated({ attributes }: Element, folder: string): Place | undefined {
  const file = attributes.file === undefined ? undefined : inRepository(attributes.file, folder)
  const line = number(attributes.line)
  return file === undefined ? undefined : { file, ...(line > 0 && { line }) }
}

function module(own: string | undefined, folder: string): Place | undefined {
  // A file without a folder is below one that Playwright alone knows.
  const file = own?.includes("/") ? inRepository(own, folder) : undefined
  return file === undefined ? undefined : { file }
}

/** Playwright takes where a test stands, or what it is called. */
function browserSelect(file: string, name: string, detail: string): string[] {
  const place = /^\s*\[[^\]]*\] › (\S+?:\d+):\d+ › /m.exec(detail)?.[1]
  return place === undefined ? [file, "-g", pattern(name.replaceAll(" › ", " "))] : [place]
}

function select(classname: string, name: string, own: string | undefined): string[] {
  if (own === undefined) return []
  if (!own.endsWith(".py")) {
    if (name === own) return [own]
    return [own, "-t", `^${pattern(name.replaceAll(" > ", " "))}$`]
  }
  const steps = classname.split(".").slice(own.split("/").length)
  return [classname === "" ? own : [own, ...steps, name].join("::")]
}

function pattern(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")
}

/** pytest writes a test twice whose clean-up failed after it had: it is one test, with both texts. */
function merged(cases: TestCase[]): TestCase[] {
  const all: TestCase[] = []
  for (const test of cases) {
    const last = all.at(-1)
    if (last?.outcome === "failed" && test.broken && last.suite === test.suite && last.name === test.name) {
      all[all.length - 1] = { ...last, broken: true, detail: `${last.detail}\n\n${test.detail}` }
    } else {
      all.push(test)
    }
  }
  return all
}
