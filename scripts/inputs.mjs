// The digest of everything that a suite depends on.
import { createHash } from "node:crypto"
import { existsSync, lstatSync, readdirSync, readFileSync, readlinkSync, statSync } from "node:fs"
import { release } from "node:os"
import { delimiter, dirname, join, posix } from "node:path"

// What tools leave behind; a clean clone has none of it.
const ignored =
  /(^|\/)(\.git|node_modules|reports|coverage|\.coverage[^/]*|dist|dev-dist|__pycache__|\.hypothesis|\.[a-z]+_cache|[^/]+\.log)$|^dagger\/sdk$/

/**
 * Every file of the repository, as paths from its root, sorted.
 * @param {string} root
 * @returns {string[]}
 */
export function repositoryFiles(root) {
  const walk = (/** @type {string} */ folder) => {
    /** @type {string[]} */
    const found = []
    for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
      const path = posix.join(folder, entry.name)
      if (ignored.test(path)) continue
      found.push(...(entry.isDirectory() ? walk(path) : [path]))
    }
    return found
  }
  return walk("").sort()
}

const covers = (/** @type {string} */ input) => (/** @type {string} */ file) =>
  input === "." || file === input || file.startsWith(`${input}/`)

/**
 * The files among `files` that a list of inputs names.
 * @param {string[]} inputs files and folders; "." is the root, one with "!" in front is left out
 * @param {string[]} files
 */
export function selected(inputs, files) {
  const wanted = inputs.filter((input) => !input.startsWith("!")).map(covers)
  return leftIn(inputs, files).filter((file) => wanted.some((is) => is(file)))
}

/**
 * The files among `files` that a list of inputs does not leave out.
 * @param {string[]} inputs as for {@link selected}
 * @param {string[]} files
 */
export function leftIn(inputs, files) {
  const unwanted = inputs.filter((input) => input.startsWith("!")).map((input) => covers(input.slice(1)))
  return files.filter((file) => !unwanted.some((is) => is(file)))
}

/**
 * A source file and every file that it imports by a relative path, directly or not.
 * @param {string} root
 * @param {string} file
 * @returns {string[]}
 */
export function withImports(root, file) {
  const found = new Set([file])
  for (const source of found) {
    const text = readFileSync(join(root, source), "utf8")
    for (const [, path = ""] of text.matchAll(/(?:from|import)\s*\(?\s*["'](\.[^"']*)["']/g)) {
      const target = posix.join(dirname(source), path)
      const existing = [target, target.replace(/\.js$/, ".ts"), `${target}.ts`].find(
        (candidate) => existsSync(join(root, candidate)) && lstatSync(join(root, candidate)).isFile(),
      )
      if (existing) found.add(existing)
    }
  }
  return [...found]
}

// They decide which engine the tests use.
const variables = [
  "DAGGERW",
  "DAGGERW_ENGINE",
  "DAGGER_CLOUD_ENGINE",
  "_EXPERIMENTAL_DAGGER_RUNNER_HOST",
  "DOCKER_HOST",
  "DOCKER_CONTEXT",
  "PITWALL_TEST_REGISTRY",
  "TYPESCRIPT_SDK",
]
const runtimes = ["docker", "container", "podman", "finch", "nerdctl", "dagger"]

/**
 * What decides a test's result outside the repository, as text.
 * @param {NodeJS.ProcessEnv} env
 */
export function machine(env = process.env) {
  const folders = (env.PATH ?? "").split(delimiter).filter((folder) => folder !== "")
  const onPath = (/** @type {string} */ program) =>
    folders.some((folder) => {
      const state = statSync(join(folder, program), { throwIfNoEntry: false })
      return state?.isFile() && (state.mode & 0o111) !== 0
    })
  return JSON.stringify({
    node: process.version,
    system: [process.platform, process.arch, release()],
    root: process.getuid?.() === 0,
    runtimes: runtimes.filter(onPath),
    variables: variables.map((name) => [name, env[name] ?? null]),
  })
}

/**
 * The SHA-256 of files by path, mode and contents, and of a text.
 * @param {string} root
 * @param {string[]} files each counts once, in any order
 * @param {string} text
 */
export function digest(root, files, text = "") {
  const hash = createHash("sha256").update(JSON.stringify(text))
  for (const file of [...new Set(files)].sort()) {
    const path = join(root, file)
    const state = lstatSync(path)
    const content = state.isSymbolicLink() ? readlinkSync(path) : readFileSync(path)
    const mode = state.isSymbolicLink() ? "link" : state.mode & 0o100 ? "program" : "file"
    hash.update(JSON.stringify([file, mode, content.length])).update(content)
  }
  return hash.digest("hex")
}
