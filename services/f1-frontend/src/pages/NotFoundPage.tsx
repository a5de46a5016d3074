import { EmptyState } from "@f1/frontend-kit"
import { Link } from "react-router"

/** For addresses that lead nowhere, and things that do not exist. */
export function NotFoundPage({ what = "page" }: { what?: string }) {
  return (
    <>
      <title>Not found · Pitwall Forecast</title>
      <EmptyState
        title={`There is no such ${what}`}
        headingLevel={1}
        action={<Link to="/">Go to the next race</Link>}
      >
        <p>The address may be mistyped, or what it led to has not been ingested here.</p>
      </EmptyState>
    </>
  )
}
