import { expect, test } from "vitest"
import { stylesBeforeScripts } from "../config/page.ts"

test("the scripts of the app go after all else, and the theme, which the first paint waits for, does not", () => {
  expect(
    stylesBeforeScripts(
      [
        '<script src="/assets/theme-1.js"></script>',
        '<script type="module" crossorigin src="/assets/index-1.js"></script>',
        '<link rel="modulepreload" crossorigin href="/assets/react-1.js">',
        '<link rel="stylesheet" crossorigin href="/assets/index-1.css">',
        '<link rel="preload" href="/config.json" as="fetch" crossorigin="anonymous">',
      ].join("\n"),
    ),
  ).toBe(
    [
      '<script src="/assets/theme-1.js"></script>',
      '<script type="module" fetchpriority="low" crossorigin src="/assets/index-1.js"></script>',
      '<link rel="modulepreload" fetchpriority="low" crossorigin href="/assets/react-1.js">',
      '<link rel="stylesheet" crossorigin href="/assets/index-1.css">',
      '<link rel="preload" href="/config.json" as="fetch" crossorigin="anonymous">',
    ].join("\n"),
  )
})
