import { mkdir, mkdtemp, writeFile } from "node:fs/promises"
import { dirname, join } from "node:path"
import { dag, type Directory, func, object } from "@dagger.io/dagger"

/** A result for people and for programs. */
@object()
export class Output {
  /** The result as text for a terminal. */
  @func()
  text: string

  /** The result as JSON. */
  @func()
  json: string

  constructor(text: string, json: string) {
    this.text = text
    this.json = json
  }
}

export function outputOf(text: string, value: unknown): Output {
  return new Output(text, JSON.stringify(value, undefined, 2))
}

/**
 * A folder of files, also of such as are no text. Dagger's API takes text alone; the engine reads the rest where the module works.
 *
 * @param files contents by path
 */
export async function folderOf(files: Map<string, string | Uint8Array>): Promise<Directory> {
  const folder = await mkdtemp("folder-")
  for (const [path, contents] of files) {
    await mkdir(join(folder, dirname(path)), { recursive: true })
    await writeFile(join(folder, path), contents)
  }
  return dag.currentModule().workdir(folder).sync()
}
