import { defineAppConfig } from "@f1/frontend-kit/vite"

export default defineAppConfig({
  port: 8081,
  apiUpstream: "http://localhost:8001",
  coverageExclude: ["src/testing/**"],
})
