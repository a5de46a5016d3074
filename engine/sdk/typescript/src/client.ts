/** The library as modules import it, with what calls and registration need. */
export * from "#dagger/index.js"
export { Register } from "#dagger/module/entrypoint/register.js"
export { scan } from "./introspector.ts"
