import { defineE2eConfig } from "@f1/frontend-kit/playwright"

// `npm run screenshots` draws docs/ again, from the served app at E2E_BASE_URL.
export default defineE2eConfig({ testMatch: "screenshots.ts" })
