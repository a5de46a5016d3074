// Looks at pages of a web app as Lighthouse and axe see them, in Chromium. Usage: node audit.mjs REQUEST.json FOLDER
//
// The request: address, headers (sent with every request), paths, runs (of Lighthouse, for each page and device). Writes FOLDER/result.json, and a screenshot of each
// page on each device. It judges nothing, and ends with an error when one of the runs was not made.
import { readFile, writeFile } from "node:fs/promises"
import { join } from "node:path"
import axe from "axe-core"
import lighthouse, { desktopConfig } from "lighthouse"
import puppeteer from "puppeteer-core"

const [, , requestFile, folder] = process.argv
const { address, headers, paths, runs } = JSON.parse(await readFile(requestFile, "utf8"))

const devices = {
  mobile: { config: undefined, viewport: { width: 412, height: 823, isMobile: true, hasTouch: true } },
  desktop: { config: desktopConfig, viewport: { width: 1350, height: 940 } },
}
const categories = ["performance", "accessibility", "best-practices"]
const metrics = {
  lcp: "largest-contentful-paint",
  cls: "cumulative-layout-shift",
  tbt: "total-blocking-time",
  bytes: "total-byte-weight",
}

/** Milliseconds that a page may take to load. */
const patience = 60_000

async function lighthouseRun(port, url, { config }) {
  const found = await lighthouse(
    url,
    { port, logLevel: "error", onlyCategories: categories, extraHeaders: headers, maxWaitForLoad: patience },
    config,
  )
  const { lhr } = found ?? {}
  const fault = lhr ? lhr.runtimeError?.message : "no result"
  if (fault) throw new Error(`Lighthouse could not look at ${url}: ${fault}`)
  const scores = categories.map((name) => [name, lhr.categories[name]?.score])
  const values = Object.entries(metrics).map(([name, id]) => [name, lhr.audits[id]?.numericValue])
  const missing = [...scores, ...values].filter(([, value]) => typeof value !== "number")
  if (missing.length > 0)
    throw new Error(`Lighthouse gave no ${missing.map(([name]) => name).join(", ")} for ${url}`)
  return { ...Object.fromEntries(scores), ...Object.fromEntries(values) }
}

/** What axe finds, and a screenshot of what it looked at. */
async function axeRun(browser, url, { viewport }, screenshot) {
  const page = await browser.newPage()
  try {
    await page.setViewport(viewport)
    await page.setExtraHTTPHeaders(headers)
    const answer = await page.goto(url, { waitUntil: "networkidle0", timeout: patience })
    if (!answer?.ok()) throw new Error(`${url} answers ${answer?.status() ?? "nothing"}`)
    // Evaluated by the browser's tools, which no content security policy keeps out.
    await page.evaluate(axe.source)
    const { violations } = await page.evaluate(() => globalThis.axe.run())
    await page.screenshot({ path: join(folder, screenshot) })
    return {
      // The release that was looked at.
      release: answer.headers()["x-release"] ?? "",
      violations: violations.map(({ id, impact, help, nodes }) => ({
        id,
        impact: impact ?? "minor",
        help,
        places: nodes.map(({ target }) => target.join(" ")),
      })),
    }
  } finally {
    await page.close()
  }
}

async function main() {
  const browser = await puppeteer.launch({
    executablePath: process.env.CHROMIUM_PATH ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-dev-shm-usage"],
  })
  try {
    const port = Number(new URL(browser.wsEndpoint()).port)
    const pages = []
    for (const [at, path] of paths.entries()) {
      for (const [device, settings] of Object.entries(devices)) {
        const url = `${address}${path}`
        const screenshot = `${at + 1}-${device}.png`
        const seen = await axeRun(browser, url, settings, screenshot)
        const scores = []
        for (let run = 0; run < runs; run++) scores.push(await lighthouseRun(port, url, settings))
        pages.push({ path, device, ...seen, screenshot, runs: scores })
      }
    }
    await writeFile(join(folder, "result.json"), JSON.stringify({ pages }))
  } finally {
    await browser.close()
  }
}

main().catch((error) => {
  console.error(error.message)
  process.exitCode = 1
})
