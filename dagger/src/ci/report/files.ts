import { fileName } from "./paths.js"

/** The paths in the report folder. */
export const reportFiles = {
  summary: "summary.md",
  json: "summary.json",
  page: "index.html",
  annotations: "annotations.txt",
  junit: (gate: string) => `junit/${fileName(gate)}.xml`,
  coverage: (gate: string) => `coverage/${fileName(gate)}.xml`,
  lcov: (gate: string) => `coverage/${fileName(gate)}.lcov`,
  log: (gate: string) => `logs/${fileName(gate)}.txt`,
  /** Unreadable reports are kept apart, so that no other program tries to read them. */
  unreadable: (gate: string, kind: string) => `unreadable/${fileName(gate)}.${kind}.txt`,
  sarif: (number: number) => `sarif/${number}.sarif`,
  /** The folder of a gate's pictures, with their paths as the gate left them. */
  pictures: (gate: string) => `pictures/${fileName(gate)}`,
}
