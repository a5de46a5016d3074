import { ErrorState, mainId } from "@f1/frontend-kit"
import { useRouteError } from "react-router"

/** Stands in for a page that threw. */
export function FailurePage() {
  const error = useRouteError()
  return (
    <main id={mainId}>
      <ErrorState
        error={error}
        headingLevel={1}
        onRetry={() => {
          location.reload()
        }}
      />
    </main>
  )
}
