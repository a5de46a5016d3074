import type { Directory } from "@dagger.io/dagger"
import type { Artifacts } from "./artifacts.js"

/** Reads the reports that a gate left, and tells them by their contents: tools differ in how they name them. */
export async function collect(reports: Directory): Promise<Artifacts> {
  const paths = await reports.glob("**/*")
  const ending = (suffix: string) => paths.filter((path) => path.endsWith(suffix))
  const read = (suffix: string) => Promise.all(ending(suffix).map((path) => reports.file(path).contents()))
  const [contents, sarif] = await Promise.all([read(".xml"), read(".sarif")])
  const roots = contents.map((text) => ({ text, root: rootTag(text) }))
  const junit = roots.find(({ root }) => /^<testsuites?\b/.test(root))
  const coverage = roots.find(({ root }) => /^<coverage\b/.test(root) && !/\sclover=/.test(root))
  return {
    ...(junit && { junit: junit.text }),
    ...(coverage && { coverage: coverage.text }),
    sarif,
    pictures: pictures(paths),
  }
}

/** The tag of an XML file's root element, behind declarations and comments; of a file that is cut off, as much as there is. */
function rootTag(xml: string): string {
  let at = 0
  for (;;) {
    at = xml.indexOf("<", at)
    if (at < 0) return ""
    const end = xml.startsWith("<?", at)
      ? "?>"
      : xml.startsWith("<!--", at)
        ? "-->"
        : xml.startsWith("<!", at)
          ? ">"
          : ""
    const close = xml.indexOf(end === "" ? ">" : end, at)
    if (end === "" || close < 0) return xml.slice(at, close < 0 ? at + 1000 : close)
    at = close + end.length
  }
}

/** Screenshots. The pictures of an HTML report, as the icons of a coverage report, stand beside or below its pages. */
function pictures(paths: string[]): string[] {
  const folderOf = (path: string) => path.slice(0, path.lastIndexOf("/") + 1)
  const pages = new Set(paths.filter((path) => path.endsWith(".html")).map(folderOf))
  const decorates = (path: string) => {
    if (pages.has(folderOf(path))) return true
    const steps = path.split("/")
    // A page at the top, as of a load test, has no folder of its own.
    return steps.some((_, at) => at > 0 && pages.has(`${steps.slice(0, at).join("/")}/`))
  }
  return paths.filter((path) => path.endsWith(".png") && !decorates(path))
}
