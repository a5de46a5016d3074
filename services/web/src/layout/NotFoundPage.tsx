import { EmptyState } from "@f1/frontend-kit"
import { Link } from "react-router"
import { PastaRow } from "../art/PastaRow.tsx"
import { usePageTitle } from "./usePageTitle.ts"

export function NotFoundPage() {
  usePageTitle("Not found")
  return (
    <EmptyState
      title="This page is off the menu"
      headingLevel={1}
      art={<PastaRow />}
      action={
        <Link className="kit-button" to="/">
          See all recipes
        </Link>
      }
    >
      <p>There is nothing at this address. The recipe may have been renamed or deleted.</p>
    </EmptyState>
  )
}
