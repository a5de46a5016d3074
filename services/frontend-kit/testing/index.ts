export { startServer } from "./server.ts"
export { setMatchingMedia } from "./setup.ts"
