import { randomUUID } from "node:crypto"
import { type Container, dag } from "@dagger.io/dagger"
import { images } from "../../platform/base-images.js"
import { cache } from "../../platform/caches.js"
import { fileName } from "../report/paths.js"
import {
  parsed,
  type Pass,
  type PassArtifacts,
  type PassWithArtifacts,
  readArtifacts,
  readPass,
} from "./pass.js"

const folder = "/passes"
/** Passes of one gate that are kept, the newest ones. */
const keptOfEach = 20

const nameOf = ({ gate, key }: Pass) => `${fileName(gate)}.${key}`

const printAll = `find ${folder} -name '*.pass' -exec cat {} +`

/** Prints a line for each file, an empty one for a file that is gone. */
const printSome = `for name; do cat "${folder}/$name" 2>/dev/null || true; echo; done`

/** Each file appears whole, whatever ends this run or another one; its artifacts appear first. */
const keep = `
cd /new
for file in *.artifacts *.pass; do cp "$file" "${folder}/.$1-$file"; mv "${folder}/.$1-$file" "${folder}/$file"; done
for gate in $(ls *.pass | sed 's/\\.[^.]*\\.pass$//' | sort -u); do
  for kind in pass artifacts; do ls -t "${folder}/$gate".*.$kind | tail -n +${keptOfEach + 1} | xargs -r rm -f; done
done
find ${folder} -name '.*' -type f -mmin +60 -delete`

/**
 * The passes that this engine remembers.
 *
 * Its own cache remembers each step of a gate too, but to ask it for every gate takes many calls; all passes are read with one.
 */
export class EnginePasses {
  /** All passes that are kept, by their keys. */
  async read(): Promise<Map<string, Pass>> {
    const passes = (await printed(["sh", "-ec", printAll])).flatMap((line) => readPass(parsed(line)) ?? [])
    return new Map(passes.map((pass) => [pass.key, pass]))
  }

  /** The artifacts of some passes, by their keys; nothing for those that are gone. */
  async artifacts(passes: Pass[]): Promise<Map<string, PassArtifacts>> {
    if (passes.length === 0) return new Map()
    const names = passes.map((pass) => `${nameOf(pass)}.artifacts`)
    const lines = await printed(["sh", "-ec", printSome, "print", ...names])
    return new Map(
      passes.flatMap(({ key }, at) => {
        const artifacts = readArtifacts(parsed(lines[at] ?? ""))
        return artifacts ? [[key, artifacts] as const] : []
      }),
    )
  }

  async write(passes: PassWithArtifacts[]): Promise<void> {
    if (passes.length === 0) return
    const files = passes.reduce(
      (files, { pass, artifacts }) =>
        files
          .withNewFile(`${nameOf(pass)}.pass`, `${JSON.stringify(pass)}\n`)
          .withNewFile(`${nameOf(pass)}.artifacts`, JSON.stringify(artifacts)),
      dag.directory(),
    )
    await volume()
      .withMountedDirectory("/new", files)
      .withExec(["sh", "-ec", keep, "keep", randomUUID()])
      .sync()
  }
}

/** The lines that a command prints. */
async function printed(command: string[]): Promise<string[]> {
  const ran = volume().withExec(command, { redirectStdout: "/printed" })
  return (await ran.file("/printed").contents()).split("\n")
}

/** What is in the volume changes, so a command on it must not be remembered. */
const volume = (): Container =>
  dag
    .container()
    .from(images.debian)
    .withMountedCache(folder, cache("passes"))
    .withEnvVariable("ASKED", randomUUID())
