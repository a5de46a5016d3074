import { readFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "vitest"

const folder = join(import.meta.dirname, "../nginx")
const read = (name: string) => readFileSync(join(folder, name), "utf8")

/** The directives of each block, without those of blocks inside it. */
function blocksOf(configuration: string): { name: string; directives: string[] }[] {
  const root = { name: "main", directives: [] as string[] }
  const [all, open] = [[root], [root]]
  for (const line of configuration.split("\n").map((each) => each.trim())) {
    if (line === "}") open.pop()
    else if (line.endsWith("{")) {
      const block = { name: line.slice(0, -1).trim(), directives: [] }
      all.push(block)
      open.push(block)
    } else if (line !== "" && !line.startsWith("#")) open.at(-1)?.directives.push(line)
  }
  return all
}

describe("nginx.conf", () => {
  const blocks = blocksOf(read("nginx.conf.template"))
  const sets = blocks.filter(({ directives }) => directives.some((each) => each.startsWith("add_header ")))

  it("sets headers for the whole server, and where it answers for the API itself", () => {
    expect(sets.map(({ name }) => name)).toEqual(["server", "location @unavailable", "location @too_large"])
  })

  // A block with an add_header of its own does not inherit those of the server.
  it("has the security headers in every block that sets a header", () => {
    for (const { name, directives } of [...sets, ...blocks.filter(({ name }) => name.includes("/api/"))]) {
      expect(directives, name).toContain("include ${NGINX_ENVSUBST_OUTPUT_DIR}/security-headers.conf;")
    }
  })

  it("sets each of them on errors too", () => {
    const headers = read("security-headers.conf.template")
      .split("\n")
      .filter((line) => line !== "" && !line.startsWith("#"))
    expect(headers.length).toBeGreaterThan(5)
    for (const header of headers) expect(header).toMatch(/^add_header \S+ .* always;$/)
  })

  it("sends nothing but /api/ to the backend", () => {
    const proxied = blocks.filter(({ directives }) =>
      directives.some((each) => each.startsWith("proxy_pass ")),
    )
    expect(proxied.map(({ name }) => name)).toEqual(["location ^~ /api/"])
  })
})
