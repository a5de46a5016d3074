import { XMLParser } from "fast-xml-parser"
import { SyntaxValidator } from "fast-xml-validator"

/** A report that cannot be read. The message says what is wrong; the caller knows which report it is. */
export class UnreadableReport extends Error {
  override name = "UnreadableReport"
}

export interface Element {
  name: string
  attributes: Record<string, string | undefined>
  children: Element[]
  /** The element's text without that of its children. */
  text: string
}

/** An element as the parser returns it: children under its name, attributes under ":@". */
type Node = Record<string, unknown>

const parser = new XMLParser({
  preserveOrder: true,
  ignoreAttributes: false,
  attributeNamePrefix: "",
  parseTagValue: false,
  parseAttributeValue: false,
  trimValues: false,
  ignoreDeclaration: true,
  ignorePiTags: true,
  // The parser needs this option to decode character references, which are part of XML.
  htmlEntities: true,
})

/**
 * Reads complete XML.
 *
 * @throws UnreadableReport if it is empty, cut off or not well formed
 */
export function parseXml(text: string): Element {
  const xml = text.trim()
  if (xml === "") throw new UnreadableReport("is empty")
  let nodes: Node[]
  try {
    // The parser alone accepts a truncated file.
    SyntaxValidator.validate(xml)
    nodes = parser.parse(xml) as Node[]
  } catch (error) {
    throw new UnreadableReport(whatIsWrong(xml, error instanceof Error ? error.message : String(error)))
  }
  const [root, ...more] = nodes.flatMap(element)
  if (!root || more.length > 0) throw new UnreadableReport("is no XML: it has no single root element")
  return root
}

/** Explains a syntax error. A missing end is reported as such, because the validator's message does not say so. */
function whatIsWrong(xml: string, fault: string): string {
  const root = /<([A-Za-z][\w.:-]*)/.exec(xml)
  const name = root?.[1] ?? ""
  const whole = xml.endsWith(`</${name}>`) || (xml.endsWith("/>") && xml.lastIndexOf("<") === root?.index)
  if (xml.startsWith("<") && !whole) {
    return `is cut off after line ${xml.split("\n").length}, as when a tool is ended half-way`
  }
  return `is not well formed: ${fault.replace(/\s+/g, " ")}`
}

function element(node: Node): Element[] {
  const name = Object.keys(node).find((key) => key !== ":@")
  if (name === undefined || name === "#text") return []
  const inside = node[name] as Node[]
  return [
    {
      name,
      attributes: (node[":@"] ?? {}) as Element["attributes"],
      children: inside.flatMap(element),
      text: inside
        .map((child) => child["#text"])
        .filter((part) => typeof part === "string")
        .join(""),
    },
  ]
}

/** The child elements of a name. */
export function children({ children }: Element, name: string): Element[] {
  return children.filter((child) => child.name === name)
}

/** Reads a number; a missing or invalid one is 0. */
export function number(text: string | undefined): number {
  const value = Number(text ?? 0)
  return Number.isFinite(value) ? value : 0
}
