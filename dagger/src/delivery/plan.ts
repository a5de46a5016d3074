import { type Change, type ComponentPlan, componentText } from "./component.js"
import type { Refusal } from "./guards/guards.js"

/** What a deploy would do, and what speaks against it. */
export interface DeployPlan {
  environment: string
  components: ComponentPlan[]
  refusals: Refusal[]
}

/** A plan for people. */
export function planText({ environment, components, refusals }: DeployPlan): string {
  const changes = components.flatMap((component) => component.changes)
  return [
    [
      `Deploy to ${environment}:`,
      ...components.map(({ component, summary }) => `  ${componentText(component)}: ${summary}`),
    ].join("\n"),
    ...(changes.length > 0 ? [changesText(changes)] : []),
    ...(refusals.length > 0 ? [refusalsText(refusals)] : []),
  ].join("\n\n")
}

/** Changed objects, one line per object and field, with a count at the end. */
export function changesText(changes: Change[]): string {
  const signs = { created: "+", changed: "~", unchanged: "=" }
  const lines = changes.flatMap(({ object, kind, fields }) => [
    `${signs[kind]} ${object}: ${kind}`,
    ...fields.map((field) => `    ${field}`),
  ])
  const count = (kind: Change["kind"]) => changes.filter((change) => change.kind === kind).length
  return [
    ...lines,
    `${count("created")} created, ${count("changed")} changed, ${count("unchanged")} unchanged`,
  ].join("\n")
}

export const refusalsText = (refusals: Refusal[]): string =>
  ["It may not start:", ...refusals.map(({ guard, reason }) => `  ${guard}: ${reason}`)].join("\n")
