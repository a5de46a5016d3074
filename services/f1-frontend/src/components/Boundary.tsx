import { ErrorState } from "@f1/frontend-kit"
import { Component, type ReactNode } from "react"

interface BoundaryState {
  error: unknown
  failed: boolean
}

/** Keeps the masthead when a page cannot be shown (its code did not load, or it threw), and offers to try again. */
export class Boundary extends Component<{ children: ReactNode }, BoundaryState> {
  override state: BoundaryState = { error: null, failed: false }

  static getDerivedStateFromError(error: unknown): BoundaryState {
    return { error, failed: true }
  }

  override render() {
    if (!this.state.failed) return this.props.children
    return (
      <ErrorState
        error={this.state.error}
        headingLevel={1}
        onRetry={() => {
          // A module that failed to load stays failed in this document.
          location.reload()
        }}
      />
    )
  }
}
