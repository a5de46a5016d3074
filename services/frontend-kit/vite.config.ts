import { defineAppConfig } from "./config/vite.ts"

export default defineAppConfig({ port: 5172, apiUpstream: "http://localhost:8000" })
