export { checkAccessibility, expect, setTheme, test } from "./accessibility.ts"
export { describeServing } from "./serving.ts"
