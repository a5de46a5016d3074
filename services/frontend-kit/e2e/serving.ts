import { expect, test, type APIRequestContext } from "@playwright/test"

/**
 * Registers tests of how an app is served: caching, encodings, 404s, headers, configuration. One call in an app's e2e folder.
 *
 * @param api the path that the backend describes itself under, such as /api: it has /docs and /openapi.json
 */
export function describeServing(api: string): void {
  test.describe("serving", () => {
    test("index.html is revalidated, and holds no inline script", async ({ request }) => {
      const answer = await request.get("/")
      expect(answer.status()).toBe(200)
      expect(answer.headers()["cache-control"]).toBe("no-cache")
      expect(answer.headers()["content-type"]).toContain("text/html")
      const html = await answer.text()
      for (const script of html.match(/<script[^>]*>/g) ?? []) expect(script).toContain("src=")
    })

    test("a path without extension is the app", async ({ request }) => {
      const answer = await request.get("/any/deep-link?with=query")
      expect(answer.status()).toBe(200)
      expect(answer.headers()["content-type"]).toContain("text/html")
      expect(answer.headers()["cache-control"]).toBe("no-cache")
    })

    for (const path of [
      "/assets/gone-1a2b3c4d.js",
      "/assets/gone",
      "/gone.png",
      "/deep/gone.css",
      "/.env",
      "/.git/config",
    ]) {
      test(`a missing file is a 404, never the app: ${path}`, async ({ request }) => {
        const answer = await request.get(path)
        expect(answer.status()).toBe(404)
        expect(answer.headers()["cache-control"] ?? "").not.toContain("immutable")
        expect(await answer.text()).not.toContain('id="root"')
      })
    }

    test("every asset of the page is immutable for a year and has its type", async ({ request }) => {
      const assets = await assetsOf(request)
      expect(assets.length).toBeGreaterThan(0)
      for (const asset of assets) {
        const answer = await request.get(asset)
        expect(answer.status(), asset).toBe(200)
        expect(answer.headers()["cache-control"], asset).toBe("public, max-age=31536000, immutable")
        expect(answer.headers()["content-type"], asset).toContain(
          asset.endsWith(".css") ? "text/css" : "javascript",
        )
      }
    })

    for (const [accepted, used] of [
      ["gzip, deflate, br", "br"],
      ["gzip", "gzip"],
      ["br;q=0, gzip", "gzip"],
      ["identity", undefined],
    ] as const) {
      test(`Accept-Encoding: ${accepted} gets ${used ?? "no encoding"}`, async ({ request }) => {
        const script = await largestScript(request)
        for (const path of ["/", script]) {
          const plain = await request.get(path, { headers: { "Accept-Encoding": "identity" } })
          const answer = await request.get(path, { headers: { "Accept-Encoding": accepted } })
          expect(answer.headers()["content-encoding"], path).toBe(used)
          expect(answer.headers().vary ?? "", path).toContain("Accept-Encoding")
          expect(answer.headers()["content-type"]).toBe(plain.headers()["content-type"])
          expect(await answer.text()).toBe(await plain.text())
        }
      })
    }

    test("compressed copies are not pages of their own", async ({ request }) => {
      const script = await largestScript(request)
      expect((await request.get(`${script}.br`)).status()).toBe(404)
      expect((await request.get(`${script}.gz`)).status()).toBe(404)
    })

    test("release.json says what was built", async ({ request }) => {
      const answer = await request.get("/release.json")
      expect(answer.status()).toBe(200)
      expect(answer.headers()["cache-control"]).toBe("no-cache")
      expect(await answer.json()).toEqual({
        app: expect.any(String),
        backend: expect.any(String),
        contract: expect.stringMatching(/^[0-9a-f]{64}$/),
        flags: expect.any(Array),
      })
    })

    test("config.json is the environment's, and never stored", async ({ request }) => {
      const answer = await request.get("/config.json")
      expect(answer.status()).toBe(200)
      expect(answer.headers()["cache-control"]).toBe("no-store")
      expect(answer.headers()["content-type"]).toContain("application/json")
      const config = (await answer.json()) as Record<string, unknown>
      expect(Object.keys(config).sort()).toEqual(["apiBaseUrl", "environment", "flags", "version"])
      expect(config.environment).toMatch(/^(development|staging|production)$/)
    })

    test("headers forbid inline scripts, framing and sniffing", async ({ request }) => {
      const proxied = [`${api}/openapi.json`, `${api}/gone`, `${api}/docs`]
      for (const path of ["/", "/gone.png", "/config.json", "/health/ready", ...proxied]) {
        const headers = (await request.get(path)).headers()
        const policy = headers["content-security-policy"] ?? ""
        expect(policy, path).toContain("default-src 'none'")
        expect(policy, path).toContain("script-src 'self';")
        expect(policy, path).toContain("frame-ancestors 'none'")
        expect(policy, path).not.toContain("unsafe")
        expect(headers["x-content-type-options"], path).toBe("nosniff")
        expect(headers["referrer-policy"], path).toBe("strict-origin-when-cross-origin")
        expect(headers["permissions-policy"], path).toContain("camera=()")
        expect(headers["x-frame-options"], path).toBe("DENY")
        expect(headers["cross-origin-opener-policy"], path).toBe("same-origin")
        expect(headers["cross-origin-resource-policy"], path).toBe("same-origin")
        expect(headers.server ?? "nginx", path).toBe("nginx")
      }
    })

    test("an error of the server itself has those headers too, each once", async ({ request }) => {
      const answer = await request.post(`${api}/gone`, { data: "x".repeat(1_100_000) })
      expect(answer.status()).toBe(413)
      expect(answer.headers()["content-type"]).toContain("application/problem+json")
      for (const name of [
        "content-security-policy",
        "x-content-type-options",
        "x-frame-options",
        "referrer-policy",
        "permissions-policy",
        "x-request-id",
      ]) {
        const count = (each: typeof answer) =>
          each.headersArray().filter((header) => header.name.toLowerCase() === name).length
        expect(count(answer), name).toBe(1)
        expect(count(await request.get(`${api}/openapi.json`)), name).toBe(1)
      }
    })

    for (const path of ["/metrics", "/health/ready", "/version"]) {
      test(`the backend's own ${path} cannot be reached`, async ({ request }) => {
        for (const way of [path, `/api/..${path}`, `/api/%2e%2e${path}`, `/api/..%2f${path.slice(1)}`]) {
          expect(await (await request.get(way)).text(), way).not.toMatch(
            /db_pool_size|"database"|"service":"(?!web|f1-frontend)/,
          )
        }
      })
    }

    test("the backend's documentation works under the content security policy", async ({ page, baseURL }) => {
      const elsewhere: string[] = []
      const refused: string[] = []
      page.on("request", (asked) => {
        const url = asked.url()
        if (!url.startsWith(`${baseURL ?? ""}/`) && !url.startsWith("data:")) elsewhere.push(url)
      })
      page.on("console", (message) => {
        if (/Content Security Policy/i.test(message.text())) refused.push(message.text())
      })
      await page.goto(`${api}/docs`)
      await expect(page.locator(".opblock").first()).toBeVisible()
      expect({ elsewhere, refused }).toEqual({ elsewhere: [], refused: [] })
    })

    test("a request id is kept when sane, and made otherwise", async ({ request }) => {
      const kept = await request.get("/", { headers: { "X-Request-ID": "journey-1.a" } })
      expect(kept.headers()["x-request-id"]).toBe("journey-1.a")
      const made = await request.get("/", { headers: { "X-Request-ID": 'no spaces, "quotes"' } })
      expect(made.headers()["x-request-id"]).toMatch(/^[0-9a-f]{32}$/)
    })

    test("health, version and metrics", async ({ request }) => {
      for (const path of ["/health/live", "/health/ready"]) {
        const answer = await request.get(path)
        expect(answer.status(), path).toBe(200)
        expect(answer.headers()["cache-control"], path).toBe("no-store")
      }
      const version = (await (await request.get("/version")).json()) as object
      expect(Object.keys(version).sort()).toEqual(["environment", "revision", "service", "version"])
      expect(await (await request.get("/metrics")).text()).toMatch(/^nginx_connections_active \d+$/m)
    })
  })
}

async function assetsOf(request: APIRequestContext): Promise<string[]> {
  const html = await (await request.get("/")).text()
  return [...html.matchAll(/(?:src|href)="(\/assets\/[^"]+\.(?:js|css))"/g)].map((match) => match[1] ?? "")
}

async function largestScript(request: APIRequestContext): Promise<string> {
  const html = await (await request.get("/")).text()
  const entry = /<script type="module"[^>]* src="([^"]+)"/.exec(html)?.[1]
  expect(entry, "index.html has a module script").toBeTruthy()
  return entry ?? ""
}
