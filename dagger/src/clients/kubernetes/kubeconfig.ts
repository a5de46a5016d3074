import { BlockList, isIP } from "node:net"
import { parse } from "yaml"
import "../../lib/schema-errors.js"
import { z } from "zod"

/** The address of an API server, and the credentials for it. */
export interface ClusterConnection {
  server: URL
  tls: { ca?: string; cert?: string; key?: string; servername?: string; rejectUnauthorized?: false }
  headers: Record<string, string | string[]>
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
  "as-uid": text,
  "as-groups": z.array(z.string()).nullish(),
  "as-user-extra": z.record(z.string(), z.array(z.string())).nullish(),
})

/** Settings that refer to files or programs of another machine, and what to do instead. */
const unsupported: Record<string, string> = {
  ...Object.fromEntries(
    ["certificate-authority", "client-certificate", "client-key", "tokenFile"].map((key) => [
      key,
      "names a file of another machine; `kubectl config view --raw --flatten --minify` writes a kubeconfig that contains everything",
    ]),
  ),
  exec: "runs a command that the pipeline's container does not have; pass --kube-token 'cmd://kubectl create token …'",
  "auth-provider": "was removed from Kubernetes; pass --kube-token 'cmd://kubectl create token …'",
  "proxy-url": "is not supported",
}

/**
 * Reads the address and the credentials of a kubeconfig's current context. Messages never quote its contents, except host names.
 *
 * @param options.token replaces the credentials of the kubeconfig's user, which are then not read
 * @param options.fromContainer refuses a loopback address, which within a container is the container itself
 * @throws Error if it cannot be read, has no current cluster, or refers to files or commands
 */
export function readKubeconfig(
  kubeconfig: string,
  { token, fromContainer = false }: { token?: string | undefined; fromContainer?: boolean } = {},
): ClusterConnection {
  const config = readAs(schema, parsed(kubeconfig), "")
  const context = readAs(
    contextSchema,
    entry(config.contexts, "context", config["current-context"]),
    "context",
  )
  const found = entry(config.clusters, "cluster", context.cluster)
  const cluster = readAs(clusterSchema, found, "cluster")
  const user = token === undefined ? userOf(config, context.user) : { token: checkedToken(token.trim()) }
  for (const key of [...Object.keys(cluster), ...Object.keys(user)]) {
    const remedy = unsupported[key]
    if (remedy !== undefined) throw new Error(`the kubeconfig cannot be used: ${key} ${remedy}`)
  }
  const server = serverOf(cluster.server)
  if (fromContainer && isLoopback(server)) {
    throw new Error(
      `the kubeconfig cannot be used: its server is ${server.host}, which in the container that the pipeline runs in is the container itself; ` +
        "set an address at which other machines reach the cluster: kubectl config set-cluster NAME --server=https://ADDRESS:PORT " +
        `(and --tls-server-name=${server.hostname} if the certificate is not valid for that address)`,
    )
  }
  return { server, tls: tlsOf(cluster, user), headers: headersOf(user) }
}

/** The addresses and names of the machine itself. `0.0.0.0` reaches it too. */
function isLoopback({ hostname }: URL): boolean {
  const address = hostname.replace(/^\[|\]$/g, "")
  if (isIP(address) === 0) return /(^|\.)localhost\.?$/.test(address)
  return loopback.check(address, isIP(address) === 6 ? "ipv6" : "ipv4")
}

const loopback = new BlockList()
loopback.addSubnet("127.0.0.0", 8)
loopback.addAddress("0.0.0.0")
loopback.addAddress("::", "ipv6")
loopback.addAddress("::1", "ipv6")

function userOf(config: z.output<typeof schema>, name: string | undefined): User {
  return name ? readAs(userSchema, entry(config.users, "user", name), "user") : {}
}

function parsed(kubeconfig: string): unknown {
  try {
    return parse(kubeconfig)
  } catch {
    // The parser's message quotes the text, which contains keys.
    throw new Error("the kubeconfig cannot be read: it is not a YAML document of kind Config")
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
  throw new Error(
    "the kubeconfig cannot be used: cluster.server must be an address that begins with https://",
  )
}

function tlsOf(cluster: z.output<typeof clusterSchema>, user: User): ClusterConnection["tls"] {
  const decoded = {
    ca: cluster["certificate-authority-data"],
    cert: user["client-certificate-data"],
    key: user["client-key-data"],
  }
  const given = Object.entries(decoded).filter(([, data]) => data !== undefined && data !== "")
  return {
    ...(Object.fromEntries(
      given.map(([name, data = ""]) => [name, Buffer.from(data, "base64").toString()]),
    ) as Pick<ClusterConnection["tls"], "ca" | "cert" | "key">),
    ...(cluster["tls-server-name"] !== undefined && { servername: cluster["tls-server-name"] }),
    ...(cluster["insecure-skip-tls-verify"] === true && { rejectUnauthorized: false }),
  }
}

function headersOf(user: User): ClusterConnection["headers"] {
  const { token, username, password, as } = user
  const basic = Buffer.from(`${username ?? ""}:${password ?? ""}`).toString("base64")
  const authorization = token ? `Bearer ${checkedToken(token)}` : username ? `Basic ${basic}` : undefined
  return {
    ...(authorization !== undefined && { Authorization: authorization }),
    ...(as !== undefined && { "Impersonate-User": headerText("as", as) }),
    ...impersonation(user),
  }
}

/** The groups, uid and extra fields of an impersonated user. Leaving one out would give the request other rights than kubectl's. */
function impersonation({
  as,
  "as-uid": uid,
  "as-groups": groups,
  "as-user-extra": extra,
}: User): ClusterConnection["headers"] {
  const headers = {
    ...(uid !== undefined && { "Impersonate-Uid": headerText("as-uid", uid) }),
    ...(groups?.length && { "Impersonate-Group": groups.map((group) => headerText("as-groups", group)) }),
    ...Object.fromEntries(
      Object.entries(extra ?? {}).map(([key, values]) => [
        `Impersonate-Extra-${encodeKey(key)}`,
        values.map((value) => headerText("as-user-extra", value)),
      ]),
    ),
  }
  if (as === undefined && Object.keys(headers).length > 0) {
    throw new Error("the kubeconfig cannot be used: as-uid, as-groups and as-user-extra need a user in as")
  }
  return headers
}

function checkedToken(token: string): string {
  if (/^[\w.~+/=-]+$/.test(token)) return token
  throw new Error("the token cannot be used: it must be one word of letters, digits and -._~+/=")
}

/** Text as Node.js puts it into a header unchanged: one character per byte of UTF-8. */
function headerText(key: string, value: string): string {
  // eslint-disable-next-line no-control-regex
  if (/[\u0000-\u001f\u007f]/.test(value)) {
    throw new Error(`the kubeconfig cannot be used: ${key} must not contain control characters`)
  }
  return Buffer.from(value).toString("latin1")
}

/** Percent-encodes what may not stand in the name of a header, as kubectl does. */
const encodeKey = (key: string) =>
  [...Buffer.from(key.toLowerCase())]
    .map((byte) => [byte, String.fromCharCode(byte)] as const)
    .map(([byte, character]) =>
      /[!#$&'*+.^_`|~0-9a-z-]/.test(character)
        ? character
        : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`,
    )
    .join("")
