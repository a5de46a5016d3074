import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { expect, it } from "vitest"
import { sourceFiles } from "../src/files.ts"

it("finds all TypeScript at any depth, in an order that does not depend on the disk", async () => {
  const src = await mkdtemp(join(tmpdir(), "sources-"))
  for (const file of ["z.ts", "a/b/c.mts", "index.ts", "notes.md", "data.json", "a/x.js"]) {
    await mkdir(dirname(join(src, file)), { recursive: true })
    await writeFile(join(src, file), "")
  }
  expect(await sourceFiles(src)).toEqual(["a/b/c.mts", "index.ts", "z.ts"])
  await rm(src, { recursive: true })
})
