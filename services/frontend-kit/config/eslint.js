import js from "@eslint/js"
import reactHooks from "eslint-plugin-react-hooks"
import { defineConfig, globalIgnores } from "eslint/config"
import tseslint from "typescript-eslint"

/**
 * The flat configuration of a frontend workspace: strict, type-checked rules and the rules of hooks.
 *
 * @param {{ root: string, ignores?: string[] }} options `root` is the workspace's folder (`import.meta.dirname`);
 * `ignores` adds patterns to the built output, reports and generated API types, which are never linted.
 */
export function eslintConfig({ root, ignores = [] }) {
  return defineConfig(
    globalIgnores([
      "dist/",
      "coverage/",
      "reports/",
      "dev-dist/",
      "test-results/",
      "src/api/schema.ts",
      ...ignores,
    ]),
    js.configs.recommended,
    tseslint.configs.strictTypeChecked,
    tseslint.configs.stylisticTypeChecked,
    reactHooks.configs.flat["recommended-latest"],
    {
      languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: root } },
      rules: {
        // tsc knows better what is defined.
        "no-undef": "off",
        "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
        // An event handler may start work that reports its own failure.
        "@typescript-eslint/no-misused-promises": ["error", { checksVoidReturn: { attributes: false } }],
      },
    },
    { files: ["**/*.js", "**/*.mjs"], extends: [tseslint.configs.disableTypeChecked] },
    {
      // Playwright's fixtures call their continuation `use`, which is no React hook.
      files: ["e2e/**"],
      rules: { "react-hooks/rules-of-hooks": "off" },
    },
  )
}
