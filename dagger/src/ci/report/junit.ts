import { inRepository, isLine } from "./paths.js"
import { oneLine, plain } from "../../lib/text.js"
import { children, type Element, number, parseXml, UnreadableReport } from "../../lib/xml.js"

export type TestOutcome = "passed" | "failed" | "skipped"

export interface TestCase {
  /** The module or file of the test. */
  suite: string
  name: string
  /** The test's file in the repository, if known. */
  file?: string
  /** The line that failed, or at which the test begins. */
  line?: number
  seconds: number
  outcome: TestOutcome
  /** A fixture or the module failed, not the test itself. */
  broken: boolean
  /** It passed after a retry. */
  flaky: boolean
  /** One line: why it failed or was skipped. */
  message: string
  /** The tool's text about the failure. */
  detail: string
  /** The arguments that make the tool run just this test, in its folder. */
  select: string[]
  /** Files that the test left, such as screenshots. */
  attachments: string[]
}

/** Counts as tools do: a failed test whose clean-up failed too is one failure and one error. */
export interface Counts {
  tests: number
  passed: number
  failed: number
  errors: number
  skipped: number
  /** Part of `passed`. */
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
 * @throws UnreadableReport for a report that is cut off or is not JUnit
 */
export function parseJunit(xml: string, folder = ""): TestReport {
  const root = parseXml(xml)
  if (!["testsuites", "testsuite"].includes(root.name)) {
    throw new UnreadableReport(`is no JUnit report: its root is <${root.name}>`)
  }
  // Only Playwright writes an id at the root. It writes the project as the suite's hostname.
  const browser = root.name === "testsuites" && root.attributes.id !== undefined
  const found = suites(root).flatMap((suite) => {
    const project = browser ? (suite.attributes.hostname ?? "") : ""
    return children(suite, "testcase").map((node) => ({
      node,
      test: testCase(node, suite, folder, browser, project),
    }))
  })
  if (browser) placeInFolder(found.map(({ node, test }) => ({ spec: node.attributes.classname ?? "", test })))
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

/** Writes counts as "2 failed, 1 error, 4 skipped, 12 passed of 19 tests". */
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
  const own = node.attributes.file ?? fileOf(classname, written, detail)
  const place = placeOf(node, detail, own, folder, browser)
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
    select: browser ? browserSelect(classname, written, detail, project) : select(classname, written, own),
    attachments,
  }
}

/** The text of a failure, or its message if it has no text. */
function textOf({ attributes, text }: Element): string {
  return text.trim() === "" ? (attributes.message ?? "") : text.replace(/^\s*\n/, "").trimEnd()
}

function retried(node: Element): boolean {
  return node.children.some(({ name }) => name === "flakyFailure" || name === "flakyError")
}

/** Without its option for retries, Playwright still leaves the screenshot of the failed attempt. */
function failedOnce(node: Element, attachments: string[]): boolean {
  const properties = children(node, "properties").flatMap((list) => children(list, "property"))
  const meantToFail = properties.some(({ attributes }) => attributes.name === "fail")
  return !meantToFail && attachments.some((path) => /(^|\/)test-failed-\d+\.png$/.test(path))
}

function attached(node: Element): string[] {
  const tries = [node, ...node.children.filter(({ name }) => /^(flaky|rerun)/.test(name))]
  const printed = tries.flatMap((element) => children(element, "system-out")).map(({ text }) => text)
  return printed.flatMap((text) =>
    [...text.matchAll(/\[\[ATTACHMENT\|(.{1,1000}?)\]\]/g)].map(([, path = ""]) => path),
  )
}

const script = /\.[cm]?[jt]sx?$/

/** The file of a test. JavaScript tools write it as the class name, pytest writes the module. */
function fileOf(classname: string, name: string, detail: string): string | undefined {
  if (script.test(classname)) return classname
  // pytest writes a module that it could not collect as a test without a class.
  const dotted = classname === "" ? name : classname
  // Folders may have dots in their names: a path in the traceback is safer than the class name.
  const traced = frames(detail).find(({ path }) => path.endsWith(".py") && isModule(path, dotted))
  if (traced) return traced.path
  const steps = dotted.split(".")
  const classes = steps.findIndex((step, at) => at > 0 && /^[A-Z]/.test(step))
  const modules = classes < 0 ? steps : steps.slice(0, classes)
  return modules.every((step) => /^[^\W\d]\w*$/u.test(step)) &&
    /^(test_.*|.*_test)$/.test(modules.at(-1) ?? "")
    ? `${modules.join("/")}.py`
    : undefined
}

/** The name of a Python file's module, as pytest writes it. */
const moduleOf = (path: string) => path.replace(/\.py$/, "").replaceAll("/", ".")

function isModule(path: string, dotted: string): boolean {
  return `${dotted}.`.startsWith(`${moduleOf(path)}.`)
}

/** A stack frame in a failure's text. */
interface Frame {
  /** As the tool wrote it, possibly behind the name of a function. */
  path: string
  line: number
}

/** Characters. Longer lines are data, not frames. */
const longestLine = 1000

/** `❯ points src/points.ts:2:27`, `at /services/web/e2e/race.spec.ts:4:136`, `tests/test_elo.py:13: AssertionError`. */
function frames(detail: string): Frame[] {
  return detail.split("\n").flatMap((text) => {
    if (text.length > longestLine) return []
    const script = /:(\d+):\d+\)?$/.exec(text)
    const begin = /^\s*(?:❯|at) /.exec(text)
    if (script && begin) return [{ path: text.slice(begin[0].length, script.index), line: Number(script[1]) }]
    const python = /^(\S[^:]*\.py):(\d+): /.exec(text)
    return python ? [{ path: python[1] ?? "", line: Number(python[2]) }] : []
  })
}

/**
 * Where a test failed: its own file, and the line there if one is known.
 *
 * Other paths in the text are ignored: they may be words that look like a path, such as `localhost:8000`.
 */
function placeOf(
  { attributes }: Element,
  detail: string,
  own: string | undefined,
  folder: string,
  browser: boolean,
): Pick<TestCase, "file" | "line"> {
  if (own === undefined) return {}
  const frame = frames(detail).find(({ path }) => isSame(path, own))
  // Playwright's stack has the full path, its class name only the path below the folder of tests.
  const written = frame && browser ? frame.path.replace(/^.*? \(/, "") : own
  const file = browser && !frame ? undefined : inRepository(written, folder)
  if (file === undefined) return {}
  // pytest counts the lines of its attributes from 0.
  const stated =
    attributes.line === undefined ? undefined : Number(attributes.line) + (own.endsWith(".py") ? 1 : 0)
  const line = [frame?.line, stated].find(isLine)
  return { file, ...(line !== undefined && { line }) }
}

/** Whether a frame is in the test's own file. A folder or a function's name may precede it. */
function isSame(path: string, own: string): boolean {
  return path === own || ["/", " ", "("].some((before) => path.endsWith(`${before}${own}`))
}

/** Playwright writes files relative to its folder of tests. A stack of any test shows that folder, which then holds for all. */
function placeInFolder(found: { spec: string; test: TestCase }[]): void {
  const folders = found.flatMap(({ spec, test: { file } }) =>
    spec !== "" && file?.endsWith(`/${spec}`) ? [file.slice(0, -spec.length)] : [],
  )
  const [folder, ...others] = new Set(folders)
  if (folder === undefined || others.length > 0) return
  for (const { spec, test } of found) {
    if (test.file !== undefined || spec === "") continue
    test.file = `${folder}${spec}`
    const line = browserPlace(test.detail)?.line
    if (line !== undefined) test.line = line
  }
}

/** `[desktop] › auth/sign-in.spec.ts:2:1 › signs in` */
function browserPlace(detail: string): { spec: string; line: number } | undefined {
  for (const text of detail.split("\n")) {
    const [, spec = "", line] = /^\s*\[[^\]]*\] › (\S.*?):(\d+):\d+ › /.exec(text.slice(0, longestLine)) ?? []
    if (spec !== "" && isLine(Number(line))) return { spec, line: Number(line) }
  }
  return undefined
}

/** Playwright selects by file and line, or by name. Both are patterns; the dot of a file name needs no escape. */
function browserSelect(file: string, name: string, detail: string, project: string): string[] {
  const place = browserPlace(detail)
  const only = project === "" ? [] : [`--project=${project}`]
  const path = (text: string) => text.replace(/[*+?^${}()|[\]\\]/g, "\\$&")
  if (place) return [`${path(place.spec)}:${place.line}`, ...only]
  return [path(file), "-g", pattern(name.replaceAll(" › ", " ")), ...only]
}

function select(classname: string, name: string, own: string | undefined): string[] {
  if (own === undefined) return []
  if (!own.endsWith(".py")) {
    if (name === own) return [own]
    // Vitest 5 matches against the names of suites and test, joined by " > " as in the report.
    return [own, "-t", `^${pattern(name).replaceAll("\n", "\\s")}$`]
  }
  const classes = isModule(own, classname) ? classname.slice(moduleOf(own).length + 1).split(".") : []
  return [classname === "" ? own : [own, ...classes.filter(Boolean), name].join("::")]
}

function pattern(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")
}

/** pytest writes a test twice if it and its clean-up failed: merge both into one test with both texts. */
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
