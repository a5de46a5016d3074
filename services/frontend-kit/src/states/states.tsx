import { useSyncExternalStore, type ReactNode } from "react"
import { ApiError } from "../api.ts"

/** A block that stands where content will be; give it a size by class. Put several in a Loading. */
export function Skeleton({ className = "" }: { className?: string }) {
  return <span className={`kit-skeleton ${className}`} aria-hidden="true" />
}

/** Says to a screen reader that something is loading, and shows skeletons to everyone else. */
export function Loading({ label = "Loading", children }: { label?: string; children?: ReactNode }) {
  return (
    <div role="status" className="kit-loading">
      <span className="kit-visually-hidden">{label}…</span>
      {children}
    </div>
  )
}

interface StateProps {
  title: string
  /** 1 where the state is all that the page holds. Default 2. */
  headingLevel?: 1 | 2
  children?: ReactNode
  /** Decoration above the title. */
  art?: ReactNode
  /** What a person can do about it: links or buttons. */
  action?: ReactNode
}

/** There is nothing to show; says why and what to do. */
export function EmptyState({ title, headingLevel, children, art, action }: StateProps) {
  const Heading = headingLevel === 1 ? "h1" : "h2"
  return (
    <section className="kit-state">
      {art}
      <Heading>{title}</Heading>
      {children && <div className="kit-state-text">{children}</div>}
      {action && <div className="kit-state-action">{action}</div>}
    </section>
  )
}

export interface ErrorStateProps {
  error: unknown
  /** Tries again what failed. */
  onRetry?: () => void
  title?: string
  /** 1 where the error is all that the page holds. Default 2. */
  headingLevel?: 1 | 2
  art?: ReactNode
  action?: ReactNode
}

/** Something failed: says what in words for people, gives the request id for support, and offers to try again. */
export function ErrorState({ error, onRetry, title, headingLevel, art, action }: ErrorStateProps) {
  const Heading = headingLevel === 1 ? "h1" : "h2"
  const { heading, text, requestId } = explain(error)
  return (
    <section className="kit-state" role="alert">
      {art}
      <Heading>{title ?? heading}</Heading>
      <div className="kit-state-text">
        <p>{text}</p>
        {requestId && (
          <p className="kit-request-id">
            Reference: <code>{requestId}</code>
          </p>
        )}
      </div>
      <div className="kit-state-action">
        {onRetry && (
          <button type="button" className="kit-button" onClick={onRetry}>
            Try again
          </button>
        )}
        {action}
      </div>
    </section>
  )
}

interface Explanation {
  heading: string
  text: string
  requestId?: string
}

/** Words for an error, fit for a page. */
export function explain(error: unknown): Explanation {
  if (!(error instanceof ApiError)) {
    return { heading: "Something went wrong", text: "This page ran into an error. Trying again may help." }
  }
  const { requestId, status = 0 } = error
  if (error.kind === "network") {
    return {
      heading: "No connection",
      text: "The server cannot be reached. Check the connection and try again.",
    }
  }
  if (error.kind === "timeout") {
    return {
      heading: "This takes too long",
      text: "The server did not answer in time. Try again in a moment.",
    }
  }
  if (status === 404) return { heading: "Not found", text: error.message, requestId }
  if (status === 429) {
    return { heading: "Too many requests", text: "Please wait a moment, then try again.", requestId }
  }
  if (status >= 500) {
    return {
      heading: "The server has a problem",
      text: "It is not your fault. Try again in a moment.",
      requestId,
    }
  }
  return { heading: "That did not work", text: error.message, requestId }
}

/** Whether the device has a network. */
export function useOnline(): boolean {
  return useSyncExternalStore(subscribeToNetwork, () => navigator.onLine)
}

function subscribeToNetwork(changed: () => void): () => void {
  addEventListener("online", changed)
  addEventListener("offline", changed)
  return () => {
    removeEventListener("online", changed)
    removeEventListener("offline", changed)
  }
}

/** A strip, shown and announced while the device is offline. `children` say what still works. */
export function OfflineBanner({ children }: { children: ReactNode }) {
  const online = useOnline()
  return (
    <div role="status" className="kit-offline" hidden={online}>
      {!online && <p>{children}</p>}
    </div>
  )
}
