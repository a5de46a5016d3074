import { defineE2eConfig } from "@f1/frontend-kit/playwright"

export default defineE2eConfig()
