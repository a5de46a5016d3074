// The base images, held to what the official images of the same names promise a pipeline. Nothing here knows whose
// images it runs, so the tests pass on any engine.
import { connection, dag, ReturnType, type Container, type Service } from "@dagger.io/dagger"
import { aroundAll, describe, expect, it } from "vitest"

aroundAll((suite) => connection(suite))

const image = (address: string): Container => dag.container().from(address)

/** Runs a shell script. */
const sh = (container: Container, script: string): Promise<string> =>
  container.withExec(["bash", "-euc", script]).stdout()

/** What the image's entrypoint makes of the arguments. */
const run = (container: Container, ...args: string[]): Promise<string> =>
  container.withExec(args, { useEntrypoint: true }).stdout()

/** A command that is to fail: how it did, and what it said. */
async function failure(container: Container, command: string[]): Promise<{ code: number; said: string }> {
  const ended = container.withExec(command, { useEntrypoint: true, expect: ReturnType.Failure })
  return { code: await ended.exitCode(), said: (await ended.stdout()) + (await ended.stderr()) }
}

describe.concurrent("node:24-bookworm-slim", () => {
  const node = () => image("node:24-bookworm-slim")

  it("is Node 24 with npm, npx and corepack", async () => {
    const said = await sh(
      node(),
      `node -v; echo v$NODE_VERSION; for tool in npm npx corepack; do $tool -v; done`,
    )
    const [version, promised, ...tools] = said.trim().split("\n")
    expect(version).toMatch(/^v24\./)
    expect(promised).toBe(version)
    expect(tools).toEqual([expect.stringMatching(/^\d+\./), tools[0], expect.stringMatching(/^\d+\./)])
  })

  it("gives options and scripts to node, and runs commands as they are", async () => {
    const prepared = node()
      .withNewFile("/app/hello.js", "console.log('hello', process.argv[2])")
      .withWorkdir("/app")
    expect(await run(prepared, "--print", "6 * 7")).toBe("42\n")
    expect(await run(prepared, "hello.js", "Monza")).toBe("hello Monza\n")
    expect(await run(prepared, "echo", "as it is")).toBe("as it is\n")
  })

  it("installs a package from its lock file as the user node", async () => {
    const owner = "node:node"
    const ms = {
      version: "2.1.3",
      integrity:
        "sha512-6FlzubTLZG3J2a/NVCAleEhjzq5oxgHyaCU9yYXvcLsvoVaHJq/s5xXI6/XXP6tz7R9xAOtHnSO/tXtF3WRTlA==",
    }
    const manifest = { name: "pit", version: "1.0.0", dependencies: { ms: ms.version } }
    const lock = { ...manifest, lockfileVersion: 3, packages: { "": manifest, "node_modules/ms": ms } }
    const installed = node()
      .withUser("node")
      .withWorkdir("/home/node")
      .withNewFile("package.json", JSON.stringify(manifest), { owner })
      .withNewFile("package-lock.json", JSON.stringify(lock), { owner })
      .withExec(["npm", "ci"])
    expect(await sh(installed, `id -u; node -p "require('ms')('2 days')"`)).toBe("1000\n172800000\n")
  })
})

describe.concurrent("python:3.11-slim-bookworm", () => {
  const python = () => image("python:3.11-slim-bookworm")

  it("is Python 3.11 under each of its names", async () => {
    const said = await sh(python(), `echo Python $PYTHON_VERSION; python -V; python3 -V; python3.11 -V`)
    const versions = said.trim().split("\n")
    expect(new Set(versions).size).toBe(1)
    expect(versions[0]).toMatch(/^Python 3\.11\./)
  })

  it("installs packages for all, where a later stage looks for them", async () => {
    const installed = python().withExec(["pip", "install", "--no-cache-dir", "pyflakes==3.2.0"])
    expect(
      await sh(installed, "ls -d /usr/local/lib/python3.11/site-packages/pyflakes; command -v pyflakes"),
    ).toBe("/usr/local/lib/python3.11/site-packages/pyflakes\n/usr/local/bin/pyflakes\n")
    const stage = python()
      .withDirectory(
        "/usr/local/lib/python3.11/site-packages",
        installed.directory("/usr/local/lib/python3.11/site-packages"),
      )
      .withNewFile("/lap.py", "import time\n")
    const found = await failure(stage, ["python", "-m", "pyflakes", "/lap.py"])
    expect(found).toEqual({ code: 1, said: "/lap.py:1:1: 'time' imported but unused\n" })
  })

  it("makes virtual environments", async () => {
    const said = await sh(
      python().withUser("65534").withWorkdir("/tmp"),
      `python -m venv venv; venv/bin/pip install --quiet --no-cache-dir iniconfig==2.0.0
       venv/bin/python -c "import iniconfig, sys; print(sys.prefix != sys.base_prefix, iniconfig.__file__)"`,
    )
    expect(said).toBe("True /tmp/venv/lib/python3.11/site-packages/iniconfig/__init__.py\n")
  })
})

describe.concurrent("postgres:15-bookworm", () => {
  const postgres = () => image("postgres:15-bookworm")

  /** Asks a running server, from another container. */
  const ask = (server: Service, user: string, database: string, ...queries: string[]): Promise<string> =>
    postgres()
      .withServiceBinding("db", server)
      .withEnvVariable("PGPASSWORD", "box-box")
      .withExec([
        "psql",
        "-h",
        "db",
        "-U",
        user,
        "-d",
        database,
        "-At",
        ...queries.flatMap((query) => ["-c", query]),
      ])
      .stdout()

  it("sets up the user, the database and what the init scripts say", async () => {
    const scripts = "/docker-entrypoint-initdb.d"
    const server = postgres()
      .withEnvVariable("POSTGRES_USER", "f1")
      .withEnvVariable("POSTGRES_PASSWORD", "box-box")
      .withEnvVariable("POSTGRES_DB", "predictions")
      .withEnvVariable("POSTGRES_INITDB_ARGS", "--data-checksums")
      .withNewFile(`${scripts}/1-schema.sql`, "CREATE TABLE race (name text)")
      .withNewFile(
        `${scripts}/2-data.sh`,
        `psql -U "$POSTGRES_USER" -d "$POSTGRES_DB" -c "INSERT INTO race VALUES ('Spa')"`,
      )
      .withNewFile("/more.sql", "INSERT INTO race VALUES ('Monza')")
      .withExec(["sh", "-c", `gzip < /more.sql > ${scripts}/3-more.sql.gz`])
      .withExposedPort(5432)
      .asService({ useEntrypoint: true, args: ["-c", "max_connections=42"] })
    expect(
      await ask(
        server,
        "f1",
        "predictions",
        "SELECT string_agg(name, ' ' ORDER BY name) FROM race",
        "SHOW max_connections",
        "SHOW data_checksums",
        "SELECT rolsuper, rolpassword ^@ 'SCRAM-SHA-256' FROM pg_authid WHERE rolname = 'f1'",
        "SELECT pg_encoding_to_char(encoding), datcollate FROM pg_database WHERE datname = 'predictions'",
        "SHOW data_directory",
      ),
    ).toBe("Monza Spa\n42\non\nt|t\nUTF8|en_US.utf8\n/var/lib/postgresql/data\n")
  })

  it("runs as the user postgres too, with its password in a file", async () => {
    const server = postgres()
      .withNewFile("/run/secrets/password", "box-box")
      .withEnvVariable("POSTGRES_PASSWORD_FILE", "/run/secrets/password")
      .withUser("postgres")
      .withExposedPort(5432)
      .asService({ useEntrypoint: true })
    expect(await ask(server, "postgres", "postgres", "SELECT current_user")).toBe("postgres\n")
  })

  it("does not start without a password", async () => {
    const { code, said } = await failure(postgres(), ["postgres"])
    expect(code).toBe(1)
    expect(said).toContain("You must specify POSTGRES_PASSWORD to a non-empty value")
  })

  it("never serves a database whose making was killed", async () => {
    const said = await sh(
      postgres()
        .withEnvVariable("POSTGRES_PASSWORD", "box-box")
        .withEnvVariable("POSTGRES_DB", "predictions"),
      `start() { setsid docker-entrypoint.sh postgres > "/tmp/$1" 2>&1 & server=$!; }
       start killed
       until [ "$(find "$PGDATA" -name PG_VERSION)" ]; do sleep 0.01; done
       kill -KILL -- "-$server"; wait "$server" || true
       start second
       for try in {1..30}; do
         if psql -h 127.0.0.1 -U postgres -Atc "SELECT datname FROM pg_database WHERE datname = 'predictions'"; then exit; fi
         kill -0 "$server" || break
         sleep 1
       done 2> /dev/null
       echo refused`,
    )
    expect(["predictions\n", "refused\n"]).toContain(said)
  })
})

describe.concurrent("redis:7.0-bookworm", () => {
  const redis = () => image("redis:7.0-bookworm")

  const ask = (server: Service, ...command: string[]): Promise<string> =>
    redis()
      .withServiceBinding("cache", server)
      .withExec(["redis-cli", "-h", "cache", ...command])
      .stdout()

  it("answers other containers, and keeps what it is told", async () => {
    const server = redis().withExposedPort(6379).asService({ useEntrypoint: true })
    const said = await sh(
      redis().withServiceBinding("cache", server),
      `ask() { redis-cli -h cache "$@"; }
       ask SET pole LEC; ask GET pole; ask CONFIG GET dir; ask INFO server | grep -o "redis_version:7.0."`,
    )
    expect(said).toBe("OK\nLEC\ndir\n/data\nredis_version:7.0.\n")
  })

  it("gives options and a configuration file to the server", async () => {
    const options = redis()
      .withExposedPort(6379)
      .asService({ useEntrypoint: true, args: ["--maxmemory", "32mb"] })
    expect(await ask(options, "CONFIG", "GET", "maxmemory")).toBe("maxmemory\n33554432\n")
    const file = redis()
      .withNewFile("/etc/cache.conf", "maxmemory 16mb\n")
      .withExposedPort(6379)
      .asService({ useEntrypoint: true, args: ["/etc/cache.conf", "--appendonly", "yes"] })
    expect(await ask(file, "CONFIG", "GET", "maxmemory")).toBe("maxmemory\n16777216\n")
    expect(await ask(file, "CONFIG", "GET", "appendonly")).toBe("appendonly\nyes\n")
  })

  it("drops root for the user redis", async () => {
    const said = await sh(
      redis(),
      `docker-entrypoint.sh redis-server > /dev/null & until redis-cli ping; do sleep 0.1; done
       redis-cli save; stat -c %U /proc/$! /data/dump.rdb`,
    )
    expect(said).toMatch(/PONG\nOK\nredis\nredis\n$/)
  })
})

describe.concurrent("nginx:1.26", () => {
  const nginx = () => image("nginx:1.26")

  const curl = (server: Service, ...args: string[]): Promise<string> =>
    nginx()
      .withServiceBinding("site", server)
      .withExec(["curl", "--silent", "--show-error", ...args])
      .stdout()

  it("serves files as the user nginx", async () => {
    const server = await nginx()
      .withNewFile("/usr/share/nginx/html/index.html", "<h1>Lights out</h1>")
      .withExposedPort(80)
      .asService({ useEntrypoint: true })
      .start()
    expect(await curl(server, "http://site/")).toBe("<h1>Lights out</h1>")
    expect(await curl(server, "-o", "/dev/null", "-w", "%{content_type}", "http://site/index.html")).toBe(
      "text/html",
    )
    expect(await curl(server, "-o", "/dev/null", "-w", "%{http_code}", "http://site/nowhere")).toBe("404")
    expect(await curl(server, "-o", "/dev/null", "-w", "%header{server}", "http://site/")).toMatch(
      /^nginx\/1\.26\./,
    )

    const workers = `/docker-entrypoint.sh nginx -g 'daemon off;' > /dev/null 2>&1 & until curl -s localhost > /dev/null; do sleep 0.1; done
      id -u nginx; stat -c %U $(for task in $(cat /proc/$!/task/$!/children); do echo /proc/$task; done) | sort -u`
    expect(await sh(nginx(), workers)).toBe("101\nnginx\n")
  })

  it("fills the environment into templates, and leaves nginx's own variables", async () => {
    const server = nginx()
      .withEnvVariable("API_HOST", "api.f1.example")
      .withNewFile(
        "/etc/nginx/templates/default.conf.template",
        "server { listen 80; location / { return 200 '${API_HOST} $request_method ${uri}'; } }",
      )
      .withExposedPort(80)
      .asService({ useEntrypoint: true })
    expect(await curl(server, "http://site/laps")).toBe("api.f1.example GET /laps")
  })

  it("runs the scripts of /docker-entrypoint.d first, and logs to the container's output", async () => {
    const said = await sh(
      nginx().withNewFile(
        "/docker-entrypoint.d/99-page.sh",
        "#!/bin/sh\necho script > /usr/share/nginx/html/page\n",
        {
          permissions: 0o755,
        },
      ),
      `/docker-entrypoint.sh nginx -g 'daemon off;' > /tmp/out 2> /tmp/err & until curl -sf localhost/page; do sleep 0.1; done
       curl -s localhost/missing > /dev/null; kill -QUIT $!; wait $!
       grep -o 'GET /missing HTTP/1.1" 404' /tmp/out; grep -o 'No such file' /tmp/err`,
    )
    expect(said).toBe('script\nGET /missing HTTP/1.1" 404\nNo such file\n')
  })

  it("answers the request under way when told to quit", async () => {
    const said = await sh(
      nginx().withNewFile(
        "/etc/nginx/conf.d/default.conf",
        "server { listen 80; root /srv; limit_rate 100k; }",
      ),
      `mkdir -p /srv; head -c 200000 /dev/zero > /srv/lap
       /docker-entrypoint.sh nginx -g 'daemon off;' > /dev/null 2>&1 & server=$!
       until curl -s localhost > /dev/null; do sleep 0.1; done
       curl -s --no-buffer -o /tmp/lap localhost/lap & answer=$!
       until [ -s /tmp/lap ]; do sleep 0.1; done; kill -QUIT $server
       wait $answer; wc -c < /tmp/lap; wait $server; echo "ended with $?"`,
    )
    expect(said).toBe("200000\nended with 0\n")
  })
})

describe.concurrent("chromedp/headless-shell:stable", () => {
  const chromium = () => image("chromedp/headless-shell:stable")

  // Chromium answers to an address and not to a name, so that no web page can reach it.
  const driver = `
    const { address } = await (await import("node:dns/promises")).lookup("browser", { family: 4 })
    const devtools = "http://" + address + ":9222"
    const { Browser } = await (await fetch(devtools + "/json/version")).json()
    const page = await (await fetch(devtools + "/json/new?http://site/", { method: "PUT" })).json()
    const socket = new WebSocket(page.webSocketDebuggerUrl)
    await new Promise((resolve) => { socket.onopen = resolve })
    let last = 0
    const send = (method, params = {}) => new Promise((resolve) => {
      const id = ++last
      socket.addEventListener("message", ({ data }) => {
        const message = JSON.parse(data)
        if (message.id === id) resolve(message.result)
      })
      socket.send(JSON.stringify({ id, method, params }))
    })
    const evaluate = async (expression) =>
      (await send("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true })).result.value
    while ((await evaluate("document.title")) !== "Pit wall") await new Promise((resolve) => setTimeout(resolve, 100))
    const picture = Buffer.from((await send("Page.captureScreenshot")).data, "base64")
    console.log(JSON.stringify({
      browser: Browser,
      heading: await evaluate("document.querySelector('h1').textContent"),
      glyphs: await evaluate("[...'iW1'].map(inkOf)"),
      picture: picture.subarray(1, 4).toString(),
    }))
    process.exit()`

  // inkOf tells how many pixels a letter takes: with no fonts it is none, or the same box for all.
  const page = `<!DOCTYPE html><title>Pit wall</title><h1></h1><script>
    document.querySelector("h1").textContent = ["Box", "box"].join(", ")
    function inkOf(letter) {
      const canvas = document.createElement("canvas").getContext("2d")
      canvas.font = "40px sans-serif"
      canvas.fillText(letter, 10, 50)
      return canvas.getImageData(0, 0, 100, 100).data.filter((value, index) => index % 4 === 3 && value > 0).length
    }
  </script>`

  it("is driven over DevTools from another container, and renders a page with its text", async () => {
    const site = image("nginx:1.26")
      .withNewFile("/usr/share/nginx/html/index.html", page)
      .withExposedPort(80)
      .asService({ useEntrypoint: true })
    const browser = chromium()
      .withServiceBinding("site", site)
      .withExposedPort(9222)
      .asService({ useEntrypoint: true })
    const said = await image("node:24-bookworm-slim")
      .withServiceBinding("browser", browser)
      .withNewFile("/driver.mjs", driver)
      .withExec(["timeout", "60", "node", "/driver.mjs"])
      .stdout()
    const seen = JSON.parse(said) as { browser: string; glyphs: number[] }
    expect(seen).toMatchObject({ heading: "Box, box", picture: "PNG" })
    expect(seen.browser).toMatch(/Chrome\/\d+/)
    expect(Math.min(...seen.glyphs)).toBeGreaterThan(0)
    expect(new Set(seen.glyphs).size).toBe(3)
  })
})

describe.concurrent("aquasec/trivy:0.66.0", () => {
  const trivy = () => image("aquasec/trivy:0.66.0")

  it("tells its version", async () => {
    expect(await run(trivy(), "--version")).toContain("Version: 0.66.0")
  })

  it("finds a fault in a Dockerfile with the checks that it carries", async () => {
    const scanned = trivy()
      .withNewFile("/src/Dockerfile", "FROM debian:12\nUSER root\n")
      .withExec(["config", "--skip-check-update", "--format", "json", "--exit-code", "3", "/src"], {
        useEntrypoint: true,
        expect: ReturnType.Any,
      })
    expect(await scanned.exitCode()).toBe(3)
    const report = JSON.parse(await scanned.stdout()) as {
      Results: { Misconfigurations?: { Title: string }[] }[]
    }
    const titles = report.Results.flatMap(({ Misconfigurations = [] }) =>
      Misconfigurations.map(({ Title }) => Title),
    )
    expect(titles).toContain("Image user should not be 'root'")
  })
})
