import { eslintConfig } from "./config/eslint.js"

export default eslintConfig({ root: import.meta.dirname })
