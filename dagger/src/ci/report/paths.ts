/**
 * Finds the path in the repository of a file that a tool names.
 *
 * @param path as the tool wrote it: relative to its folder, or absolute on the machine that it ran on
 * @param folder where in the repository the tool ran
 * @returns undefined for a file outside the repository or in an installed package
 */
export function inRepository(path: string, folder = ""): string | undefined {
  const file = path.replace(/^file:\/\/(?=\/)/, "").replaceAll("\\", "/")
  if (/(^|\/)(node_modules|site-packages)\//.test(file)) return undefined
  if (/^(\/|[A-Za-z]:\/)/.test(file)) return belowFolder(file, folder)
  if (folder !== "" && file.startsWith(`${folder}/`)) return normal(file)
  return normal(folder === "" ? file : `${folder}/${file}`)
}

/** The repository may be mounted anywhere: its folder's name shows where it begins. */
function belowFolder(file: string, folder: string): string | undefined {
  const steps = folder.split("/").filter(Boolean)
  for (let length = steps.length; length > 0; length--) {
    const part = steps.slice(0, length).join("/")
    const at = file.indexOf(`/${part}/`)
    if (at >= 0) return normal(file.slice(at + 1))
  }
  return undefined
}

function normal(path: string): string | undefined {
  const steps: string[] = []
  for (const step of path.split("/")) {
    if (step === "" || step === ".") continue
    if (step !== "..") steps.push(step)
    else if (steps.pop() === undefined) return undefined
  }
  return steps.length > 0 ? steps.join("/") : undefined
}

/** Turns a gate's name into a unique file name that is valid everywhere: `api:test` becomes `api.test`. */
export function fileName(gate: string): string {
  return gate.replace(/[^A-Za-z0-9-]/gu, (sign) =>
    sign === ":" ? "." : `_${(sign.codePointAt(0) ?? 0).toString(16)}_`,
  )
}

/** A relative link to a file of the report. It never leaves the report folder. */
export function link(...steps: string[]): string {
  return steps
    .flatMap((step) => step.split(/[/\\]/))
    .filter((step) => !["", ".", ".."].includes(step))
    .map((step) => encodeURIComponent(step.replace(/\p{Cs}/gu, "\ufffd")))
    .join("/")
}

/** Whether a value is a line or column number, which begin at 1. */
export function isLine(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 1
}
