import type { ReactNode } from "react"
import "./page-head.css"

interface PageHeadProps {
  /** Title of the browser tab. */
  title: string
  kicker?: ReactNode
  headline: string
  deck?: ReactNode
  /** Controls that change the whole page. */
  controls?: ReactNode
}

/** A page's headline with what stands above and below it. */
export function PageHead({ title, kicker, headline, deck, controls }: PageHeadProps) {
  return (
    <header className="page-head">
      <title>{`${title} · Pitwall Forecast`}</title>
      <div>
        {kicker !== undefined && <p className="kicker">{kicker}</p>}
        <h1 className="headline">{headline}</h1>
        {deck !== undefined && <p className="deck">{deck}</p>}
      </div>
      {controls !== undefined && <div className="page-controls">{controls}</div>}
    </header>
  )
}
