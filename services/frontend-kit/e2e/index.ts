export { checkAccessibility, expect, setTheme, test } from "./accessibility.ts"
export { describeServing } from "./serving.ts"
export { describeVisits } from "./visits.ts"
