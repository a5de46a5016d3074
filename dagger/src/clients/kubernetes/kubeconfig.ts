import { parse } from "yaml"
import { z } from "zod"

/** How to get to an API server, and as whom. */
export interface Connection {
  server: URL
  tls: { ca?: string; cert?: string; key?: string; servername?: string; rejectUnauthorized?: false }
  headers: Record<string, string>
}

const text = z.string().optional()
const named = <Shape extends z.ZodRawShape>(key: string, shape: Shape) =>
  z.array(z.looseObject({ name: z.string(), [key]: z.looseObject(shape).nullish() })).nullish()

const schema = z.looseObject({
  "current-context": z.string(),
  clusters: named("cluster", {}),
  contexts: named("context", {}),
  users: named("user", {}),
})
const clusterSchema = z.looseObject({
  server: z.string(),
  "certificate-authority-data": text,
  "insecure-skip-tls-verify": z.boolean().optional(),
  "tls-server-name": text,
})
const contextSchema = z.looseObject({ cluster: z.string(), user: text })
type User = Partial<z.output<typeof userSchema>>
const userSchema = z.looseObject({
  "client-certificate-data": text,
  "client-key-data": text,
  token: text,
  username: text,
  password: text,
  as: text,
})

/** What a kubeconfig may have elsewhere, and what to do instead. */
const elsewhere: Record<string, string> = {
  ...Object.fromEntries(
    ["certificate-authority", "client-certificate", "client-key", "tokenFile"].map((key) => [
      key,
      "names a file of another machine; `kubectl config view --raw --flatten --minify` writes one that holds everything",
    ]),
  ),
  exec: "runs a command, which is not there where the pipeline runs; give --kube-token 'cmd://kubectl create token …'",
  "auth-provider": "is no longer known to Kubernetes; give --kube-token 'cmd://kubectl create token …'",
  "proxy-url": "is not supported",
}

/**
 * Reads how to get to the cluster of a kubeconfig's current context. What it holds is in no message.
 *
 * @param token of who asks instead of the kubeconfig's user, of whom nothing is read then
 * @throws Error when it is no kubeconfig, names no cluster, or needs more than itself
 */
export function readKubeconfig(kubeconfig: string, token?: string): Connection {
  const config = readAs(schema, parsed(kubeconfig), "")
  const context = readAs(
    contextSchema,
    entry(config.contexts, "context", config["current-context"]),
    "context",
  )
  const found = entry(config.clusters, "cluster", context.cluster)
  const cluster = readAs(clusterSchema, found, "cluster")
  const user = token === undefined ? userOf(config, context.user) : { token: tokenIn(token) }
  for (const key of [...Object.keys(cluster), ...Object.keys(user)]) {
    const remedy = elsewhere[key]
    if (remedy !== undefined) throw new Error(`the kubeconfig cannot be used: ${key} ${remedy}`)
  }
  return { server: serverOf(cluster.server), tls: tlsOf(cluster, user), headers: headersOf(user) }
}

function userOf(config: z.output<typeof schema>, name: string | undefined): User {
  return name ? readAs(userSchema, entry(config.users, "user", name), "user") : {}
}

/** What a command prints ends with a new line, and what may stand in a header has none. */
function tokenIn(text: string): string {
  const token = text.trim()
  if (/^[\w.~+/=-]+$/.test(token)) return token
  throw new Error("the token cannot be used: it is one word of letters, digits and -._~+/=")
}

function parsed(kubeconfig: string): unknown {
  try {
    return parse(kubeconfig)
  } catch {
    // The parser's own words quote the text, which holds keys.
    throw new Error("the kubeconfig cannot be read: it is no YAML document of kind Config")
  }
}

function readAs<Schema extends z.ZodType>(schema: Schema, found: unknown, where: string): z.output<Schema> {
  const result = schema.safeParse(found)
  if (result.success) return result.data
  const faults = result.error.issues.map(({ path, message }) => {
    const key = [where, ...path.map(String)].filter((part) => part !== "").join(".")
    return `${key === "" ? "the document" : key}: ${message}`
  })
  throw new Error(`the kubeconfig cannot be read: ${faults.join("; ")}`)
}

function entry(list: Record<string, unknown>[] | null | undefined, kind: string, name: string): unknown {
  const found = list?.find((item) => item.name === name)?.[kind]
  if (found) return found
  const names = (list ?? []).map((item) => String(item.name)).join(", ")
  throw new Error(`the kubeconfig names no ${kind} "${name}"; it has ${names === "" ? "none" : names}`)
}

function serverOf(server: string): URL {
  const url = URL.canParse(server) ? new URL(server) : undefined
  if (url && ["http:", "https:"].includes(url.protocol)) return url
  throw new Error("the kubeconfig cannot be used: cluster.server is an address that begins with https://")
}

function tlsOf(cluster: z.output<typeof clusterSchema>, user: User): Connection["tls"] {
  const decoded = {
    ca: cluster["certificate-authority-data"],
    cert: user["client-certificate-data"],
    key: user["client-key-data"],
  }
  const given = Object.entries(decoded).filter(([, data]) => data !== undefined && data !== "")
  return {
    ...(Object.fromEntries(
      given.map(([name, data = ""]) => [name, Buffer.from(data, "base64").toString()]),
    ) as Pick<Connection["tls"], "ca" | "cert" | "key">),
    ...(cluster["tls-server-name"] !== undefined && { servername: cluster["tls-server-name"] }),
    ...(cluster["insecure-skip-tls-verify"] === true && { rejectUnauthorized: false }),
  }
}

function headersOf({ token, username, password, as }: User) {
  const basic = Buffer.from(`${username ?? ""}:${password ?? ""}`).toString("base64")
  const authorization = token ? `Bearer ${token}` : username ? `Basic ${basic}` : undefined
  return {
    ...(authorization !== undefined && { Authorization: authorization }),
    ...(as !== undefined && { "Impersonate-User": as }),
  }
}
