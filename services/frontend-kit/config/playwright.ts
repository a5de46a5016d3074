import { defineConfig, devices, type PlaywrightTestConfig } from "@playwright/test"

/**
 * The Playwright configuration of an app: its `e2e` folder, against the served app at E2E_BASE_URL with the real backend behind
 * it, in the browser at CHROMIUM_PATH (default /usr/bin/chromium). Tests tagged @phone run on a phone's screen as well.
 *
 * @throws when E2E_BASE_URL is not set
 */
export function defineE2eConfig(overrides: PlaywrightTestConfig = {}): PlaywrightTestConfig {
  const baseURL = process.env.E2E_BASE_URL
  if (!baseURL) {
    throw new Error(
      "E2E_BASE_URL is not set: give the address of the served app, such as http://localhost:8080",
    )
  }
  const ci = Boolean(process.env.CI)
  return defineConfig({
    testDir: "e2e",
    outputDir: "reports/e2e",
    workers: 2,
    fullyParallel: true,
    forbidOnly: ci,
    // A machine that does much else at the time is slow, which is no fault of the app. A test that passes at its second try is reported as flaky.
    retries: ci ? 1 : 0,
    timeout: ci ? 90_000 : 30_000,
    expect: { timeout: ci ? 15_000 : 5_000 },
    reporter: ci ? [["list"], ["junit", { outputFile: "reports/e2e-junit.xml" }]] : [["list"]],
    use: {
      baseURL,
      // To record each test costs as much as to run it.
      trace: ci ? "on-first-retry" : "retain-on-failure",
      screenshot: "only-on-failure",
      // A service worker would answer before the routes of a test; tests of being offline allow it.
      serviceWorkers: "block",
      contextOptions: { reducedMotion: "reduce" },
      launchOptions: {
        executablePath: process.env.CHROMIUM_PATH ?? "/usr/bin/chromium",
        args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
      },
    },
    projects: [
      { name: "desktop", use: { ...devices["Desktop Chrome"], viewport: { width: 1280, height: 800 } } },
      {
        name: "phone",
        grep: /@phone/,
        use: { ...devices["Pixel 7"], viewport: { width: 390, height: 844 }, deviceScaleFactor: 2 },
      },
    ],
    ...overrides,
  })
}
