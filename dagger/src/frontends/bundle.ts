import { createHash } from "node:crypto"
import { readdir, readFile } from "node:fs/promises"
import { join, relative, sep } from "node:path"
import { z } from "zod"
import type { NeededContract } from "./contract.js"
import type { BuiltFile } from "./manifest.js"

/** The files of a web app, as its image holds them. */
export interface Bundle {
  /** The app that it is a build of. */
  app: string
  version: string
  /** Names of the flags that it knows. */
  flags: string[]
  /** The API that it calls; absent where the build does not say so. */
  contract?: NeededContract
  /** Where its files lie on this machine. */
  folder: string
}

const declaration = z.object({
  flags: z.array(z.string()),
  backend: z.string().optional(),
  /** SHA-256 of the description of the backend's API. */
  contract: z.string().optional(),
})

/**
 * What a build says of itself in `release.json`: the flags that it knows, and the API that it calls. One without the file knows no flags and names no API.
 *
 * @param description the API's description in the image, if it has one
 * @throws Error for a file that cannot be read, and for another description than the one that it names
 */
export async function declarationIn(
  folder: string,
  description: string | undefined,
): Promise<Pick<Bundle, "flags" | "contract">> {
  let text: string
  try {
    text = await readFile(join(folder, "release.json"), "utf8")
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return { flags: [] }
    throw error
  }
  let found: z.output<typeof declaration>
  try {
    found = declaration.parse(JSON.parse(text))
  } catch (error) {
    throw new Error(`the build's release.json does not name its flags: ${(error as Error).message}`, {
      cause: error,
    })
  }
  const { flags, backend, contract: sha256 } = found
  if (backend === undefined || sha256 === undefined || description === undefined) return { flags }
  const actual = sha256Of(Buffer.from(description))
  if (actual !== sha256)
    throw new Error(
      `the image describes another API of ${backend} than its release.json names: ${actual} instead of ${sha256}`,
    )
  return { flags, contract: { backend, sha256, text: description } }
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
