import { DockerfileParser } from "dockerfile-ast"
import { clip } from "../lib/text.js"

/** An instruction of a Dockerfile, with its continued lines joined. */
interface Instruction {
  /** Line on which it begins, from 1. */
  line: number
  text: string
}

/** What is known about a failed build. */
export interface BuildFailure {
  message: string
  /** The command that failed, with its shell. */
  command?: string[]
  exitCode?: number
}

/**
 * The place in a Dockerfile at which a build failed: `services/api/Dockerfile:12: RUN make: exit code 2`. Empty if it cannot be told.
 *
 * @param file path in the repository
 * @param text the Dockerfile
 */
export function placeOfFailure(file: string, text: string, failure: BuildFailure): string {
  const { message, command, exitCode } = failure
  const parse = /parse error on line (\d+): (.*)/.exec(message)
  if (parse) return `${file}:${parse[1] ?? ""}: ${parse[2] ?? ""}`
  const instructions = readInstructions(text)
  const at = (found: Instruction | undefined, reason: string) =>
    found ? `${file}:${found.line}: ${clip(found.text, 100)}: ${reason}` : ""
  if (command) {
    // A shell wraps the text of RUN; its exec form has none.
    const run = squeezed(command.at(-1) ?? "")
    return at(
      instructions.find(({ text }) => /^RUN /i.test(text) && run !== "" && squeezed(text).endsWith(run)),
      `exit code ${exitCode ?? "unknown"}`,
    )
  }
  const word = /unknown instruction: (\S+)/i.exec(message)?.[1]
  if (word !== undefined)
    return at(
      instructions.find(({ text }) => text.toLowerCase().startsWith(word.toLowerCase())),
      "unknown instruction",
    )
  // The message of a missing file or image quotes its name as the instruction has it, possibly with a prefix.
  const named = instructions.find(({ text }) =>
    namesIn(text).some((name) => message.includes(name.replace(/^\.?\//, ""))),
  )
  return at(named, /not found|no such file/i.test(message) ? "not found" : lastLineOf(message))
}

/**
 * The image that the last stage of a Dockerfile begins with; undefined when that is `scratch`.
 *
 * @throws Error when the Dockerfile has no stage, or a variable in the image's place
 */
export function baseImageOf(dockerfile: string): string | undefined {
  // The last one first.
  let stages = DockerfileParser.parse(dockerfile).getFROMs().reverse()
  for (;;) {
    const [stage, ...before] = stages
    const image = stage?.getImage() ?? ""
    if (image === "" || image.includes("$"))
      throw new Error(`the last stage has no image to begin with that can be told (found "${image}")`)
    const at = before.findIndex((one) => one.getBuildStage()?.toLowerCase() === image.toLowerCase())
    if (at === -1) return image === "scratch" ? undefined : image
    stages = before.slice(at)
  }
}

/** The names of files and images that an instruction reads. */
function namesIn(text: string): string[] {
  const [instruction = "", ...words] = text.split(/\s+/).filter((word) => !word.startsWith("--"))
  if (/^FROM$/i.test(instruction)) return words.slice(0, 1)
  if (/^(COPY|ADD)$/i.test(instruction) && !text.includes("--from="))
    return words.slice(0, -1).filter((word) => word.length > 1)
  return []
}

function readInstructions(text: string): Instruction[] {
  const instructions: Instruction[] = []
  let open: Instruction | undefined
  for (const [at, line] of text.split("\n").entries()) {
    // Comments and empty lines may stand inside of an instruction.
    if (/^\s*(#|$)/.test(line)) continue
    const continues = /\\\s*$/.test(line)
    const part = line.replace(/\\\s*$/, "").trim()
    if (open) open.text += ` ${part}`
    else instructions.push((open = { line: at + 1, text: part }))
    if (!continues) open = undefined
  }
  return instructions
}

const squeezed = (text: string) => text.replace(/\\\n/g, " ").replace(/\s+/g, " ").trim()
const lastLineOf = (text: string) => text.trimEnd().split("\n").at(-1) ?? ""
