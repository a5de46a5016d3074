import { posix } from "node:path"
import { catalogFile } from "../../platform/catalog.js"

// Compilers have the name of their target before their own, and their version behind it: x86_64-linux-gnu-gcc-12.
const compiler =
  /^(?:[a-z0-9_]+-[a-z0-9_-]*-)?(?:gcc|g\+\+|cc|c\+\+|cpp|clang|clang\+\+|tcc|cc1|cc1plus|gfortran|as|ld|ld\.(?:bfd|gold|lld)|rustc|go|javac|make|cmake|ninja)(?:-?\d+(?:\.\d+)*)?$/
const packageManager =
  /^(?:apt|apt-.+|aptitude|dpkg|dpkg-.+|apk|rpm|yum|dnf|microdnf|zypper|pacman|(?:pip|pipx|easy_install)(?:-?\d+(?:\.\d+)*)?|uv|conda|poetry|npm|npx|yarn|yarnpkg|pnpm|corepack|gem|cargo|brew)$/
const shell = /^(?:sh|bash|rbash|dash|ash|zsh|ksh|mksh|csh|tcsh|fish|pwsh|busybox|toybox)$/
/** Packages of Python that `python -m` runs, and the wheel that one can be run from. */
const pythonInstaller = /(?:^|\/)(?:(pip|ensurepip)\/__main__\.py|(pip)-[^/]*\.whl)$/

/** What kind of program a path is that a service does not need to serve; undefined for any other. */
function kindOf(path: string): { name: string; kind: string } | undefined {
  const installer = pythonInstaller.exec(path)
  if (installer) return { name: installer[1] ?? installer[2] ?? "", kind: "package manager" }
  const name = posix.basename(path)
  if (packageManager.test(name)) return { name, kind: "package manager" }
  if (compiler.test(name)) return { name, kind: "compiler" }
  if (shell.test(name)) return { name, kind: "shell" }
  return undefined
}

/** Paths that are named at most. */
const most = 20

/**
 * Why the programs of an image are not those that it may have; undefined when they are.
 *
 * @param programs paths of everything in it that can be run
 * @param allowed reasons by the name of a program; an entry without such a program is a fault, too
 */
export function programFault(
  name: string,
  programs: string[],
  allowed: Record<string, string>,
): string | undefined {
  const known = programs.flatMap((path) => {
    const found = kindOf(path)
    return found ? [{ path, ...found }] : []
  })
  const needless = known.filter((program) => !Object.hasOwn(allowed, program.name))
  const stale = Object.keys(allowed).filter((program) => !known.some((found) => found.name === program))
  const left = needless.length - most
  const lines = [
    ...(needless.length > 0
      ? [
          `services/${name}/Dockerfile: the image has programs that serve whoever breaks in. Remove them in its last stage, or allow them with a reason in ${catalogFile} (services.${name}.programs):`,
          ...needless.slice(0, most).map(({ path, kind }) => `  /${path}: ${kind}`),
          ...(left > 0 ? [`  and ${left} more`] : []),
        ]
      : []),
    ...stale.map(
      (program) =>
        `${catalogFile}: services.${name}.programs allows ${program}, which is no package manager, compiler or shell of the image; remove the entry`,
    ),
  ]
  return lines.length > 0 ? lines.join("\n") : undefined
}
