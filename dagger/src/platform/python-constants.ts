import type { SyntaxNode } from "@lezer/common"
import { parser } from "@lezer/python"

/** A value that is written out in Python source. */
export type Constant = string | number | boolean | null | Constant[]

export interface Assignment {
  /** Undefined if only running the module would tell. */
  value: Constant | undefined
  line: number
}

/** Stands for the names that `from module import *` may bind. */
export const everyName = "*"

/** Source that is not Python. */
export class PythonSyntaxError extends Error {
  override name = "PythonSyntaxError"
  constructor(readonly line: number) {
    super(`line ${line} is not valid Python`)
  }
}

/**
 * Reads what a Python module assigns to its names: strings (joined ones too), numbers, True, False, None, tuples, lists and sets of them, and names assigned
 * before. An assignment within an `if`, `for` or `try` has no constant value, nor has a name that is bound in another way, such as by an import.
 *
 * @returns the last assignment of each name, and of {@link everyName}
 * @throws PythonSyntaxError for an error outside functions and classes
 */
export function readConstants(module: string): Map<string, Assignment> {
  const text = module.replace(/^\ufeff/, "")
  const assignments = new Map<string, Assignment>()
  const source = ({ from, to }: SyntaxNode) => text.slice(from, to)
  // Nodes come in the order of the text, so that each line is counted once.
  let [counted, line] = [0, 1]
  const lineOf = ({ from }: { from: number }) => {
    for (; counted < from; counted++) if (text[counted] === "\n") line++
    return line
  }

  const listOf = (nodes: SyntaxNode[]): Constant[] | undefined => {
    const values = nodes.filter(({ name }) => !punctuation.has(name)).map(valueOf)
    return values.every((value) => value !== undefined) ? values : undefined
  }

  const valueOf = (node: SyntaxNode): Constant | undefined => {
    const parts = childrenOf(node)
    switch (node.name) {
      case "String":
        return stringOf(source(node))
      case "ContinuedString":
        return joined(parts.map(valueOf))
      case "BinaryExpression": {
        const [left, operator, right] = parts
        const added = left && right && operator && source(operator) === "+"
        return added ? joined([valueOf(left), valueOf(right)]) : undefined
      }
      case "Number":
        return Number(source(node).replaceAll("_", ""))
      case "Boolean":
        return source(node) === "True"
      case "None":
        return null
      case "VariableName":
        return assignments.get(source(node))?.value
      case "ParenthesizedExpression":
        return listOf(parts)?.[0]
      case "TupleExpression":
      case "ArrayExpression":
      case "SetExpression":
        return listOf(parts)
      default:
        return undefined
    }
  }

  const readAssignment = (statement: SyntaxNode) => {
    const parts = childrenOf(statement).filter(({ name }) => name !== "TypeDef")
    const last = parts.map(({ name }) => /^(Assign|Update)Op$/.test(name)).lastIndexOf(true)
    // An annotation alone, as in `revision: str`, assigns nothing.
    if (last < 0) return
    const targets = parts.slice(0, last)
    const values = parts.slice(last + 1)
    const known =
      statement.name === "AssignStatement" &&
      ["Script", "StatementGroup"].includes(statement.parent?.name ?? "") &&
      // Which part of `a, b = …` gets which value is not followed.
      !targets.some(({ name }) => name === ",")
    const [first] = values
    const value = !known || !first ? undefined : values.length === 1 ? valueOf(first) : listOf(values)
    for (const target of targets) {
      if (target.name === "VariableName") assignments.set(source(target), { value, line: lineOf(target) })
      // In brackets, a target is a pattern.
      else
        for (const name of namesIn(target))
          assignments.set(source(name), { value: undefined, line: lineOf(name) })
    }
  }

  parser.parse(text).iterate({
    enter: (node) => {
      if (node.type.isError) throw new PythonSyntaxError(lineOf(node))
      if (node.name === "AssignStatement" || node.name === "UpdateStatement") readAssignment(node.node)
      for (const name of boundBy(node.node)) {
        const unknown = { value: undefined, line: lineOf(name) }
        if (name.name === everyName) for (const known of assignments.keys()) assignments.set(known, unknown)
        assignments.set(source(name), unknown)
      }
      // Functions and classes have names of their own.
      return !["FunctionDefinition", "ClassDefinition", "LambdaExpression"].includes(node.name)
    },
  })
  return assignments
}

/** The names in a target of an assignment or a loop. An attribute or an item of something is no name. */
function namesIn(target: SyntaxNode): SyntaxNode[] {
  if (target.name === "VariableName") return [target]
  return target.name === "MemberExpression" ? [] : childrenOf(target).flatMap(namesIn)
}

/** The names that a node binds otherwise than by an assignment. */
function boundBy(node: SyntaxNode): SyntaxNode[] {
  const parts = childrenOf(node)
  const after = (keyword: string) => parts.slice(parts.findIndex(({ name }) => name === keyword) + 1)
  const nameAfter = (keyword: string) =>
    parts.filter((part, at) => part.name === "VariableName" && parts[at - 1]?.name === keyword)
  switch (node.name) {
    case "ImportStatement":
      return after("import").filter(
        ({ name, nextSibling }) =>
          name === everyName || (name === "VariableName" && nextSibling?.name !== "as"),
      )
    case "ForStatement":
      return parts
        .slice(
          0,
          parts.findIndex(({ name }) => name === "in"),
        )
        .flatMap(namesIn)
    case "WithStatement":
    case "TryStatement":
      return nameAfter("as")
    case "FunctionDefinition":
      return nameAfter("def")
    case "ClassDefinition":
      return nameAfter("class")
    case "TypeDefinition":
      return nameAfter("type")
    case "DeleteStatement":
    case "CapturePattern":
      return parts.flatMap(namesIn)
    case "NamedExpression":
      return parts.slice(0, 1)
    default:
      return []
  }
}

const punctuation = new Set(["(", ")", "[", "]", "{", "}", ",", "Comment"])

function childrenOf(node: SyntaxNode): SyntaxNode[] {
  const children: SyntaxNode[] = []
  for (let child = node.firstChild; child; child = child.nextSibling) {
    if (child.name !== "Comment") children.push(child)
  }
  return children
}

function joined(parts: (Constant | undefined)[]): string | undefined {
  return parts.every((part) => typeof part === "string") ? parts.join("") : undefined
}

const escapes: Record<string, string> = { n: "\n", r: "\r", t: "\t", "\n": "" }

/** @returns undefined for bytes, and for escapes that name a character */
function stringOf(literal: string): string | undefined {
  const [, prefix = "", , body = ""] = /^([a-zA-Z]*)('''|"""|'|")([\s\S]*)\2$/.exec(literal) ?? []
  if (/[bf]/i.test(prefix)) return undefined
  if (/r/i.test(prefix)) return body
  if (body.includes("\\N")) return undefined
  return body.replaceAll(
    /\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{1,3})|([\s\S]))/g,
    (
      whole,
      x: string | undefined,
      u: string | undefined,
      long: string | undefined,
      octal: string | undefined,
      one: string,
    ) => {
      const hex = x ?? u ?? long
      if (hex !== undefined) return String.fromCodePoint(parseInt(hex, 16))
      if (octal !== undefined) return String.fromCharCode(parseInt(octal, 8))
      return escapes[one] ?? (/['"\\]/.test(one) ? one : whole)
    },
  )
}
