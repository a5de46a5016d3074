// Programs of others that read what this project writes, where this machine has them.
import { execFile, spawnSync } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

/** For files of programs, and their home: they find no settings of the user, and leave nothing behind. */
export const folder = mkdtempSync(join(tmpdir(), "programs-"))
process.on("exit", () => {
  rmSync(folder, { recursive: true, force: true })
})

/** How a program ended. */
export interface Ended {
  code: number
  stdout: string
  stderr: string
}

/** A program on the PATH, or why there is none. */
export interface Program {
  run: (...args: string[]) => Promise<Ended>
  missing?: string
}

/**
 * Finds a program.
 *
 * @param probe arguments that it ends well with
 * @param install how a machine gets it
 */
export function program(
  command: string,
  probe: string[],
  install: string,
  env: Record<string, string> = {},
): Program {
  const found = spawnSync(command, probe, { stdio: "ignore" })
  return {
    run: (...args) =>
      new Promise((resolve, reject) => {
        execFile(
          command,
          args,
          {
            cwd: folder,
            env: { PATH: process.env.PATH, HOME: folder, ...env },
            maxBuffer: 64 * 1024 * 1024,
          },
          (error, stdout, stderr) => {
            // Without a number it never ran, or was stopped.
            if (error && typeof error.code !== "number")
              reject(new Error(`${command} did not end`, { cause: error }))
            else resolve({ code: typeof error?.code === "number" ? error.code : 0, stdout, stderr })
          },
        )
      }),
    ...(found.status !== 0 && { missing: `${command} is not on the PATH: ${install}` }),
  }
}
