import { describeServing, expect, test } from "@f1/frontend-kit/e2e"

describeServing("/api/f1")

const BUDGET_BYTES = 125_000

test("the first page needs less than 125 kB of compressed scripts, and no chart code", async ({
  page,
  request,
}) => {
  const scripts: string[] = []
  page.on("response", (response) => {
    if (response.request().resourceType() === "script") scripts.push(response.url())
  })
  await page.goto("/", { waitUntil: "networkidle" })
  await expect(page.getByRole("heading", { level: 1 })).toBeVisible()
  let bytes = 0
  for (const url of scripts) {
    const answer = await request.get(url, { headers: { "Accept-Encoding": "gzip" } })
    bytes += Number(answer.headers()["content-length"] ?? (await answer.body()).length)
  }
  console.log(`first page: ${scripts.length} scripts, ${bytes} bytes with gzip`)
  expect(scripts.length).toBeGreaterThan(0)
  expect(bytes).toBeLessThan(BUDGET_BYTES)
  expect(scripts.filter((url) => /LineChart|AdvantageChart|Calibration/.test(url))).toEqual([])
})
