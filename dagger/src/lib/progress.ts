import { plain } from "./text.js"

/** What `daggerw` recognises as a line of progress among everything that the engine prints. */
const mark = "[pitwall]"

/** Prints progress while a function runs; every line of the text is a line of progress, and none is a command of GitHub's runner. */
export function reportProgress(text: string): void {
  for (const line of plain(text).split("\n")) console.log(`${mark} ${line}`)
}

/** Prints that a step begins. */
export function reportStart(step: string): void {
  reportProgress(`run ${step}`)
}

/** Prints how many steps are to run. */
export function reportPlan(steps: number): void {
  reportProgress(`plan ${steps}`)
}
