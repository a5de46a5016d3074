import { createHash } from "node:crypto"
import { readdir, readFile } from "node:fs/promises"
import { join, relative, sep } from "node:path"
import type { BuiltFile } from "./manifest.js"

/** The files of a web app, as its image holds them. */
export interface Bundle {
  /** The app that it is a build of. */
  app: string
  version: string
  /** Where its files lie on this machine. */
  folder: string
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
