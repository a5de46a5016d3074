import type { Directory } from "@dagger.io/dagger"
import type { Artifacts } from "./artifacts.js"

/** Reads what a gate left behind, and tells reports by what they hold: tools differ in how they name them. */
export async function collect(reports: Directory): Promise<Artifacts> {
  const paths = await reports.glob("**/*")
  const ending = (suffix: string) => paths.filter((path) => path.endsWith(suffix))
  const read = (suffix: string) => Promise.all(ending(suffix).map((path) => reports.file(path).contents()))
  const [contents, sarif] = await Promise.all([read(".xml"), read(".sarif")])
  const holding = (root: RegExp) => contents.find((text) => root.test(text.slice(0, 1000)))
  const [junit, coverage] = [holding(/<testsuite/), holding(/<coverage/)]
  return {
    ...(junit !== undefined && { junit }),
    ...(coverage !== undefined && { coverage }),
    sarif,
    pictures: ending(".png"),
  }
}
