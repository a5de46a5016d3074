import js from "@eslint/js"
import { defineConfig, globalIgnores } from "eslint/config"
import tseslint from "typescript-eslint"

export default defineConfig(
  globalIgnores(["dagger/sdk/", "engine/sdk/", "engine/test/fixtures/", "services/"]),
  js.configs.recommended,
  tseslint.configs.strictTypeChecked,
  tseslint.configs.stylisticTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: true } },
    rules: {
      // tsc knows better what is defined.
      "no-undef": "off",
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
    },
  },
  {
    // Programs of the edge, whose syntax is an older one, and of audits: they have no types.
    files: ["dagger/config/frontends/**/*.{js,mjs}"],
    extends: [tseslint.configs.disableTypeChecked],
    languageOptions: { parserOptions: { projectService: false } },
    rules: {
      "@typescript-eslint/no-unused-vars": ["error", { varsIgnorePattern: "^handler$" }],
      "@typescript-eslint/prefer-for-of": "off",
      "@typescript-eslint/no-dynamic-delete": "off",
    },
  },
  {
    // The rule does not see a JSDoc cast, the only way to give JSON.parse a type in JavaScript.
    files: ["**/*.mjs"],
    rules: { "@typescript-eslint/no-unsafe-assignment": "off" },
  },
)
