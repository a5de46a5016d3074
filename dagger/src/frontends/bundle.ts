import { createHash } from "node:crypto"
import { readdir, readFile } from "node:fs/promises"
import { join, relative, sep } from "node:path"
import { z } from "zod"
import type { BuiltFile } from "./manifest.js"

/** The files of a web app, as its image holds them. */
export interface Bundle {
  /** The app that it is a build of. */
  app: string
  version: string
  /** Names of the flags that it knows. */
  flags: string[]
  /** Where its files lie on this machine. */
  folder: string
}

const declaration = z.object({ flags: z.array(z.string()) })

/**
 * What a build says of itself in `release.json`: the flags that it knows. One without the file knows none.
 *
 * @throws Error for a file that cannot be read
 */
export async function flagsIn(folder: string): Promise<string[]> {
  let text: string
  try {
    text = await readFile(join(folder, "release.json"), "utf8")
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return []
    throw error
  }
  try {
    return declaration.parse(JSON.parse(text)).flags
  } catch (error) {
    throw new Error(`the build's release.json does not name its flags: ${(error as Error).message}`, {
      cause: error,
    })
  }
}

export const sha256Of = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex")

/** Reads the files of a folder, in any order. */
export async function readFiles(folder: string): Promise<BuiltFile[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  return Promise.all(
    entries
      .filter((entry) => entry.isFile())
      .map(async (entry) => {
        const path = join(entry.parentPath, entry.name)
        const bytes = await readFile(path)
        return {
          path: relative(folder, path).split(sep).join("/"),
          sha256: sha256Of(bytes),
          size: bytes.length,
        }
      }),
  )
}
