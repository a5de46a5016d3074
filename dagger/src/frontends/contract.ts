import { isDeepStrictEqual } from "node:util"
import { z } from "zod"
import { count, oneLine } from "../lib/text.js"

/** The API that a build calls, as it was described when it was built. */
export interface NeededContract {
  /** The service whose API it is. */
  backend: string
  /** SHA-256 of the description, in hexadecimal digits. */
  sha256: string
  /** The description: an OpenAPI document. */
  text: string
}

/** What is known of the API of a backend at a moment. */
export type BackendContract =
  | { found: "no-service"; allowed: string[] }
  | { found: "not-live" }
  | { found: "unreadable"; reason: string }
  /** The image that serves, or will before the web app is switched, and the description in it. */
  | { found: "described"; image: string; text: string }

/** Whether a web app may be switched to. */
export type ContractVerdict =
  | { served: true; text: string }
  /** `reason` is `lack` with what a deploy can do about it. */
  | { served: false; lack: string; reason: string }

/** Differences that a sentence names. */
const named = 3

/**
 * Whether a backend serves what a build calls: the very contract, or a later one that still answers all of it. What is not known is not served.
 *
 * @param app as sentences name it, such as `web`, or `revision 2 of web`
 * @param where name of the environment
 */
export function judgeContract(
  app: string,
  where: string,
  needed: NeededContract | undefined,
  backend: BackendContract,
): ContractVerdict {
  const refuse = (lack: string, remedy = ""): ContractVerdict => ({
    served: false,
    lack: `${app} ${lack}`,
    reason: `${app} ${lack}${remedy}`,
  })
  if (!needed)
    return refuse(
      "does not say which API it calls: its image was built without /srv/contract.json or without release.json",
      "; build it anew",
    )
  const { backend: name, sha256 } = needed
  const contract = `contract ${sha256.slice(0, 12)} of ${name}`
  switch (backend.found) {
    case "no-service":
      return refuse(
        `needs the ${contract}, and ${where} has no service of that name; allowed: ${backend.allowed.join(", ") || "none"}`,
      )
    case "not-live":
      return refuse(
        `needs the ${contract}, and ${name} is not live in ${where}`,
        `: deploy it first, or together with ${app}`,
      )
    case "unreadable":
      return refuse(
        `needs the ${contract}, and it is not known what ${name} in ${where} serves: ${oneLine(backend.reason, 200)}`,
      )
    case "described": {
      const missing = unserved(needed.text, backend.text)
      if (missing.length === 0) return { served: true, text: `${contract}, served by ${backend.image}` }
      const more = missing.length - named
      return refuse(
        `needs the ${contract}, which ${backend.image} does not serve: ${missing.slice(0, named).join("; ")}${more > 0 ? `; and ${count(more, "more difference")}` : ""}`,
        `. Deploy ${name} with it first, or together with ${app}`,
      )
    }
  }
}

type Json = Record<string, unknown>
const isObject = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const schemaOrFlag = z.union([z.boolean(), z.record(z.string(), z.unknown())])
const content = z.record(z.string(), z.looseObject({ schema: schemaOrFlag.optional() }))
const parameter = z.looseObject({
  name: z.string(),
  in: z.string(),
  required: z.boolean().default(false),
  schema: schemaOrFlag.optional(),
})
const operation = z.looseObject({
  parameters: z.array(parameter).default([]),
  requestBody: z.looseObject({ required: z.boolean().default(false), content }).optional(),
  responses: z.record(z.string(), z.looseObject({ content: content.default({}) })).default({}),
  security: z.unknown().optional(),
})
type Operation = z.output<typeof operation>

const methods = ["get", "put", "post", "delete", "options", "head", "patch", "trace"] as const
const document = z.looseObject({
  openapi: z.string().regex(/^3\.1\./),
  paths: z.record(
    z.string(),
    z.looseObject({
      parameters: z.array(parameter).default([]),
      ...(Object.fromEntries(methods.map((method) => [method, operation.optional()])) as Record<
        (typeof methods)[number],
        z.ZodOptional<typeof operation>
      >),
    }),
  ),
})

/**
 * What a client that was built for one description of an API would miss in a server of another one. Additions are no difference: further operations, parameters that may
 * be left out, and further values in answers. What the comparison does not know, such as other keywords of schemas, is a difference unless it is equal.
 *
 * @param needed an OpenAPI 3.1 document
 * @param served an OpenAPI 3.1 document
 */
export function unserved(needed: string, served: string): string[] {
  if (needed === served) return []
  const [wanted, found] = [read(needed), read(served)]
  if (typeof wanted === "string") return [`what it needs ${wanted}`]
  if (typeof found === "string") return [`the description of what is served ${found}`]
  return Object.entries(wanted.operations).flatMap(([name, one]) => {
    const other = found.operations[name]
    if (!other) return [`${name} is not there`]
    return operationFaults(one, other, { needed: wanted.root, served: found.root }).map(
      (fault) => `${name}: ${fault}`,
    )
  })
}

function read(text: string): { root: Json; operations: Record<string, Operation> } | string {
  let root: unknown
  try {
    root = JSON.parse(text)
  } catch {
    return "is no JSON"
  }
  const { data, error } = document.safeParse(root)
  if (!data) return `is no OpenAPI 3.1 document: ${oneLine(error.message)}`
  const operations = Object.entries(data.paths).flatMap(([path, { parameters, ...item }]) =>
    methods.flatMap((method): [string, Operation][] => {
      const one = item[method]
      if (!one) return []
      const own = one.parameters.map(keyOf)
      const inherited = parameters.filter((shared) => !own.includes(keyOf(shared)))
      return [[`${method.toUpperCase()} ${path}`, { ...one, parameters: [...inherited, ...one.parameters] }]]
    }),
  )
  return { root: root as Json, operations: Object.fromEntries(operations) }
}

const keyOf = ({ name, in: place }: z.output<typeof parameter>) => `${place} parameter ${name}`

/** The documents that references point into. */
interface Roots {
  needed: Json
  served: Json
}

function operationFaults(needed: Operation, served: Operation, roots: Roots): string[] {
  const sent = (what: string, one: unknown, other: unknown) =>
    flowFaults({ schema: one, root: roots.needed }, { schema: other, root: roots.served }, what, {
      needed: "giver",
      limits: true,
    })
  const answered = (what: string, one: unknown, other: unknown) =>
    flowFaults({ schema: other, root: roots.served }, { schema: one, root: roots.needed }, what, {
      needed: "taker",
      limits: false,
    })
  const servedParameters = new Map(served.parameters.map((one) => [keyOf(one), one]))
  const given = needed.parameters.flatMap((one) => {
    const other = servedParameters.get(keyOf(one))
    if (!other) return [`the ${keyOf(one)} is not there`]
    const required = other.required && !one.required ? [`the ${keyOf(one)} is required`] : []
    return [...required, ...sent(`the ${keyOf(one)}`, one.schema, other.schema)]
  })
  const known = needed.parameters.map(keyOf)
  const asked = served.parameters
    .filter((one) => one.required && !known.includes(keyOf(one)))
    .map((one) => `the ${keyOf(one)} is required`)
  const body = ((): string[] => {
    const [one, other] = [needed.requestBody, served.requestBody]
    if (!other) return one ? ["it takes no body"] : []
    if (other.required && !one?.required) return ["a body is required"]
    return Object.entries(one?.content ?? {}).flatMap(([type, { schema }]) => {
      const match = other.content[type]
      return match ? sent("the body", schema, match.schema) : [`it does not take ${type}`]
    })
  })()
  const answers = Object.entries(needed.responses).flatMap(([status, one]) => {
    const other = served.responses[status]
    // An error that does not happen any more is missed by nobody.
    if (!other) return status.startsWith("2") ? [`the answer ${status} is not there`] : []
    return Object.entries(one.content).flatMap(([type, { schema }]) => {
      const match = other.content[type]
      const what = `the answer ${status}`
      return match ? answered(what, schema, match.schema) : [`${what} has no ${type}`]
    })
  })
  const security = isDeepStrictEqual(needed.security, served.security)
    ? []
    : ["it asks for other credentials"]
  return [...given, ...asked, ...body, ...answers, ...security]
}

/** A schema and the document that its references point into. */
interface Placed {
  schema: unknown
  root: Json
}

interface Flow {
  /** Which of both the client was built for. A property that it knows must be there on the other side too. */
  needed: "giver" | "taker"
  /** Whether who takes a value refuses one beyond its limits, such as `maxLength`. */
  limits: boolean
  /** Pairs of references that are being compared: schemas may contain themselves. */
  open?: string[]
}

/** Keywords that say nothing about values. */
const annotations = [
  ...["title", "description", "default", "example", "examples", "deprecated"],
  ...["readOnly", "writeOnly", "externalDocs", "$comment"],
]
/** Keywords that who answers may change: a client only reads the value. */
const limits = [
  ...["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength"],
  ...["pattern", "minItems", "maxItems", "uniqueItems", "minProperties", "maxProperties"],
]
/** Keywords that are compared by what they mean. All others have to be equal. */
const understood = [
  ...["type", "enum", "const", "properties", "required", "items", "additionalProperties", "anyOf", "oneOf"],
]

/**
 * Why a value that keeps one schema might not be taken where the other one is expected.
 *
 * @param giver whose values they are
 * @param taker who must understand them
 */
function flowFaults(giver: Placed, taker: Placed, what: string, flow: Flow): string[] {
  const pair = `${referenceOf(giver)} → ${referenceOf(taker)}`
  if (flow.open?.includes(pair)) return []
  const open = pair.includes("#") ? [...(flow.open ?? []), pair] : (flow.open ?? [])
  const [given, taken] = [resolved(giver), resolved(taker)]
  if (given === undefined || taken === undefined) return [`${what} refers to a schema that is not there`]
  const inner = { ...flow, open }
  const from = (schema: unknown): Placed => ({ schema, root: giver.root })
  const to = (schema: unknown): Placed => ({ schema, root: taker.root })
  const others = keywordFaults(given, taken, what, flow)
  const [variants, accepted] = [variantsOf(given), variantsOf(taken)]
  if (variants || accepted) {
    const lost = (variants ?? [given]).filter((one) =>
      (accepted ?? [taken]).every((other) => flowFaults(from(one), to(other), what, inner).length > 0),
    )
    return [...others, ...(lost.length > 0 ? [`${what} has another type`] : [])]
  }
  const widened = given.type === "integer" && taken.type === "number"
  // A schema without a type stands for every value.
  if (taken.type !== undefined && given.type !== taken.type && !widened)
    return [...others, `${what} has another type`]
  const [values, allowed] = [valuesOf(given), valuesOf(taken)]
  const isAllowed = (value: unknown) => allowed?.some((known) => isDeepStrictEqual(known, value))
  const otherValues = allowed && !values?.every(isAllowed) ? [`${what} has other values`] : []
  const nested = (["items", "additionalProperties"] as const).flatMap((key) =>
    isObject(given[key]) || isObject(taken[key])
      ? flowFaults(from(given[key]), to(taken[key]), `an element of ${what}`, inner)
      : [],
  )
  return [...others, ...otherValues, ...nested, ...propertyFaults(given, taken, { what, inner, from, to })]
}

function keywordFaults(given: Json, taken: Json, what: string, flow: Flow): string[] {
  const known = [...annotations, ...understood, ...limits]
  const rest = [...new Set([...Object.keys(given), ...Object.keys(taken)])].filter(
    (key) => !known.includes(key),
  )
  const refusing = flow.limits ? limits.filter((key) => key in taken) : []
  return [...rest, ...refusing]
    .filter((key) => !isDeepStrictEqual(given[key], taken[key]))
    .map((key) => `${what} has another ${key}`)
}

function propertyFaults(
  one: Json,
  other: Json,
  {
    what,
    inner,
    from,
    to,
  }: { what: string; inner: Flow; from: (schema: unknown) => Placed; to: (schema: unknown) => Placed },
): string[] {
  const [given, taken] = [propertiesOf(one), propertiesOf(other)]
  const [always, demanded] = [requiredOf(one), requiredOf(other)]
  const [known, there] = inner.needed === "giver" ? [given, taken] : [taken, given]
  const missing = Object.keys(known)
    .filter((name) => !(name in there))
    .map((name) => `${name} of ${what} is not there`)
  const uncertain = demanded
    .filter((name) => !always.includes(name) && (name in given || !(name in known)))
    .map((name) =>
      inner.needed === "giver" ? `${name} of ${what} is required` : `${name} of ${what} may be missing`,
    )
  const changed = Object.entries(given).flatMap(([name, schema]) =>
    name in taken ? flowFaults(from(schema), to(taken[name]), `${name} of ${what}`, inner) : [],
  )
  return [...missing, ...uncertain, ...changed]
}

const propertiesOf = ({ properties }: Json): Json => (isObject(properties) ? properties : {})
const requiredOf = ({ required }: Json): string[] =>
  Array.isArray(required) ? required.filter((name): name is string => typeof name === "string") : []
const valuesOf = (schema: Json): unknown[] | undefined =>
  "const" in schema ? [schema.const] : Array.isArray(schema.enum) ? (schema.enum as unknown[]) : undefined

/** The alternatives of a schema; nothing for a schema that is one itself. */
function variantsOf({ anyOf, oneOf, type, ...rest }: Json): Json[] | undefined {
  const alternatives = [anyOf, oneOf].find((all) => Array.isArray(all)) as unknown[] | undefined
  if (alternatives) return alternatives.map((one) => (isObject(one) ? one : {}))
  return Array.isArray(type) ? type.map((one: unknown) => ({ ...rest, type: one })) : undefined
}

const referenceOf = ({ schema }: Placed): string =>
  isObject(schema) && typeof schema.$ref === "string" ? schema.$ref : ""

/** A schema without references; nothing when one leads nowhere. A schema that is absent or `true` stands for every value, and `false` for none. */
function resolved({ schema, root }: Placed, seen: string[] = []): Json | undefined {
  if (schema === undefined || schema === true) return {}
  if (!isObject(schema)) return { enum: [] }
  const { $ref } = schema
  if (typeof $ref !== "string") return schema
  if (!$ref.startsWith("#/") || seen.includes($ref)) return undefined
  const found = $ref
    .slice(2)
    .split("/")
    .map((part) => part.replace(/~1/g, "/").replace(/~0/g, "~"))
    .reduce<unknown>((at, part) => (isObject(at) ? at[part] : undefined), root)
  return found === undefined ? undefined : resolved({ schema: found, root }, [...seen, $ref])
}
