import { eslintConfig } from "@f1/frontend-kit/eslint"

export default eslintConfig({ root: import.meta.dirname })
