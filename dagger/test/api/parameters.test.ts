import { readdirSync, readFileSync } from "node:fs"
import ts from "typescript"
import { expect, it } from "vitest"

const folder = new URL("../../src/", import.meta.url)
const sources = ["index.ts", ...readdirSync(new URL("api", folder)).map((name) => `api/${name}`)]

/** What Dagger fills in without being told. */
const given = ["source", "workspace"]

/** Each constructor and function of the module's classes, with the arguments that a caller may have to know. */
function functionsOf(name: string): { name: string; parameters: string[] }[] {
  const text = readFileSync(new URL(name, folder), "utf8")
  const file = ts.createSourceFile(name, text, ts.ScriptTarget.Latest, true)
  const classes = file.statements.filter(ts.isClassDeclaration)
  return classes
    .filter((one) => ts.getDecorators(one)?.some((decorator) => decorator.getText().startsWith("@object")))
    .flatMap((one) =>
      one.members.flatMap((member) => {
        const offered =
          ts.isConstructorDeclaration(member) ||
          (ts.isMethodDeclaration(member) && (ts.getDecorators(member) ?? []).length > 0)
        if (!offered) return []
        const parameters = member.parameters.map((parameter) => parameter.name.getText())
        return [
          {
            name: `${one.name?.text ?? ""}.${member.name?.getText() ?? "constructor"}`,
            parameters: parameters.filter((parameter) => !given.includes(parameter)),
          },
        ]
      }),
    )
}

it("asks nobody for more than eight arguments", () => {
  const functions = sources.flatMap(functionsOf)
  expect(functions.length).toBeGreaterThan(40)
  expect(functions.filter(({ parameters }) => parameters.length > 8)).toEqual([])
})
