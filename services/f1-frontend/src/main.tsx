import { startApp } from "@f1/frontend-kit"
import "@f1/frontend-kit/styles.css"
import "@fontsource-variable/archivo/wdth.css"
import "./styles/base.css"
import { App } from "./App.tsx"
import { flags } from "./flags.ts"

void startApp(flags, (config) => <App config={config} />, { visits: "/api/f1/visits" })
