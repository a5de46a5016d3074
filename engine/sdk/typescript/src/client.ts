/** The library as modules import it, and what a call and a registration need besides. */
export * from "#dagger/index.js"
export { Register } from "#dagger/module/entrypoint/register.js"
export { scan } from "./introspector.ts"
