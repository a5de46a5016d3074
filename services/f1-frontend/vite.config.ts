import { defineAppConfig } from "@f1/frontend-kit/vite"
import { flags } from "./src/flags.ts"

export default defineAppConfig({
  port: 8081,
  apiUpstream: "http://localhost:8001",
  release: { app: "f1-frontend", backend: "f1-backend", flags },
  coverageExclude: ["src/testing/**"],
})
