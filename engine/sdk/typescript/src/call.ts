import { setSourceMapsSupport } from "node:module"
import { entrypoint } from "./client.ts"
import { bundleFile } from "./files.ts"

// Stack traces name the TypeScript source, not the bundle.
setSourceMapsSupport(true)

await entrypoint([bundleFile(process.argv[2]!)])
