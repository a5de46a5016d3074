import { percent } from "../format.ts"
import "./share.css"

/** A probability as a number with a small bar; a dash when there was no forecast. */
export function Share({ value }: { value: number | null }) {
  if (value === null) return <span>–</span>
  return (
    <span className="share">
      <span className="share-value">{percent(value)}</span>
      <span className="share-bar" aria-hidden="true" style={{ "--share": value }} />
    </span>
  )
}
