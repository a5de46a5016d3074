export { ApiError, createApi, type ApiOptions, type Problem } from "./api.ts"
export { createFlags, type FlagDeclarations, type Flags } from "./flags.ts"
export { loadRuntimeConfig, RuntimeConfigError, type RuntimeConfig } from "./runtimeConfig.ts"
export { startApp } from "./startApp.tsx"
export { mainId, SkipLink, useRouteFocus } from "./states/navigation.tsx"
export {
  EmptyState,
  ErrorState,
  explain,
  Loading,
  OfflineBanner,
  Skeleton,
  useOnline,
} from "./states/states.tsx"
export { ThemeProvider, ThemeToggle, useTheme, type ThemeChoice } from "./theme/theme.tsx"
