import { fileName } from "./paths.js"

/** Where things stand in the report folder. */
export const reportFiles = {
  summary: "summary.md",
  json: "summary.json",
  page: "index.html",
  annotations: "annotations.txt",
  junit: (gate: string) => `junit/${fileName(gate)}.xml`,
  coverage: (gate: string) => `coverage/${fileName(gate)}.xml`,
  lcov: (gate: string) => `coverage/${fileName(gate)}.lcov`,
  log: (gate: string) => `logs/${fileName(gate)}.txt`,
  /** What cannot be read is kept, where no reader of reports stumbles over it. */
  unreadable: (gate: string, kind: string) => `unreadable/${fileName(gate)}.${kind}.txt`,
  sarif: (number: number) => `sarif/${number}.sarif`,
  /** A folder; the names in it are those of the gate's evidence. */
  pictures: (gate: string) => `pictures/${fileName(gate)}`,
}
