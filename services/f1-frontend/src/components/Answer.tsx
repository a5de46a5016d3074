import { ApiError, EmptyState, ErrorState, Loading, Skeleton } from "@f1/frontend-kit"
import type { UseQueryResult } from "@tanstack/react-query"
import type { ReactNode } from "react"
import "./answer.css"

interface AnswerProps<T> {
  query: UseQueryResult<T>
  /** What stands here instead when the server says 404. */
  missing?: ReactNode
  /** What loads, for a screen reader: "the next race". */
  label: string
  /** Only a part of the page, which has a heading of its own. */
  part?: boolean
  children: (data: T) => ReactNode
}

/**
 * What a query answered, or the state it is in. Data that was there once stays while it is fetched again; when that fails, a
 * line says so and offers another try.
 */
export function Answer<T>({ query, missing, label, part = false, children }: AnswerProps<T>) {
  const retry = () => void query.refetch()
  if (query.data !== undefined) {
    return (
      <div
        className={query.isPlaceholderData ? "answer answer-old" : "answer"}
        aria-busy={query.isPlaceholderData}
      >
        {query.isRefetchError && (
          <p className="answer-stale" role="status">
            This could not be updated just now; you see the last answer.{" "}
            <button type="button" className="quiet-button" onClick={retry}>
              Try again
            </button>
          </p>
        )}
        {children(query.data)}
      </div>
    )
  }
  if (query.isError) {
    const status = query.error instanceof ApiError ? query.error.status : undefined
    if (status === 404 && missing !== undefined) return missing
    const headingLevel = part ? 2 : 1
    if (status === 503) {
      return <Unavailable reason={query.error.message} headingLevel={headingLevel} onRetry={retry} />
    }
    return <ErrorState error={query.error} headingLevel={headingLevel} onRetry={retry} />
  }
  return <PageLoading label={label} />
}

/** Stands where a page will be. `label` says what loads, for a screen reader. */
export function PageLoading({ label }: { label: string }) {
  return (
    <Loading label={`Loading ${label}`}>
      <Skeleton className="skeleton-headline" />
      <Skeleton className="skeleton-block" />
    </Loading>
  )
}

interface UnavailableProps {
  reason: string
  headingLevel: 1 | 2
  onRetry: () => void
}

/** The backend runs but cannot predict: its model or its database is not there. */
function Unavailable({ reason, headingLevel, onRetry }: UnavailableProps) {
  return (
    <EmptyState
      title="The forecast is not available yet"
      headingLevel={headingLevel}
      action={
        <button type="button" className="kit-button" onClick={onRetry}>
          Try again
        </button>
      }
    >
      <p>{reason}</p>
      <p>
        If the model was never trained here, run <code>python -m f1 train</code> on the backend and load the
        result with <code>POST /admin/model/reload</code>.
      </p>
    </EmptyState>
  )
}

/** No race was ever ingested; what to run. */
export function NoRaces() {
  return (
    <EmptyState title="No races have been ingested yet" headingLevel={1}>
      <p>
        Run <code>python -m f1 ingest jolpica</code> on the backend to fetch the seasons, or{" "}
        <code>python -m f1 ingest csv FOLDER</code> if you have them as files. They appear here at once.
      </p>
    </EmptyState>
  )
}
