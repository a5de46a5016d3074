import { startTransition, StrictMode, type ReactNode } from "react"
import { createRoot } from "react-dom/client"
import type { FlagDeclarations } from "./flags.ts"
import { loadRuntimeConfig, type RuntimeConfig } from "./runtimeConfig.ts"
import { beginVisit, type Visit } from "./visits.ts"

/**
 * Loads the runtime configuration, then renders the app into `#root`; a page that says what failed when it cannot.
 *
 * @param flags the flags that the app knows
 * @param visits path of the backend that is told of visits, such as `/api/visits`
 */
export async function startApp<Declared extends FlagDeclarations>(
  flags: Declared,
  render: (config: RuntimeConfig<Declared>) => ReactNode,
  { visits }: { visits: string },
): Promise<void> {
  const element = document.getElementById("root")
  if (!element) throw new Error("index.html has no element with the id root")
  let visit: Visit | undefined
  const root = createRoot(element, {
    onCaughtError: (error) => {
      console.error(error)
      visit?.failed()
    },
  })
  try {
    const config = await loadRuntimeConfig(flags)
    visit = beginVisit(config.apiBaseUrl + visits, { config: config.id })
    document.documentElement.dataset.version = config.version
    // In slices, between which the browser paints and answers.
    startTransition(() => {
      root.render(<StrictMode>{render(config)}</StrictMode>)
    })
  } catch (error) {
    // Without a configuration, the backend is taken to be at this address.
    visit ??= beginVisit(visits)
    visit.failed()
    root.render(<StartFailure error={error} />)
  }
}

function StartFailure({ error }: { error: unknown }) {
  return (
    <main className="kit-state kit-start-failure" role="alert">
      <h1>The app cannot start</h1>
      <div className="kit-state-text">
        <p>Its configuration could not be loaded. Check the connection and try again.</p>
        <pre>{error instanceof Error ? error.message : String(error)}</pre>
      </div>
      <div className="kit-state-action">
        <button
          type="button"
          className="kit-button"
          onClick={() => {
            location.reload()
          }}
        >
          Try again
        </button>
      </div>
    </main>
  )
}
