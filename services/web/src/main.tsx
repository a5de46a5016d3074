import { startApp } from "@f1/frontend-kit"
import "@f1/frontend-kit/styles.css"
import "@fontsource-variable/instrument-sans/wght.css"
import "@fontsource/young-serif/400.css"
import { App } from "./App.tsx"
import { flags } from "./flags.ts"
import "./styles/base.css"
import "./styles/pages.css"

void startApp(flags, (config) => <App config={config} />, { visits: "/api/visits" })
