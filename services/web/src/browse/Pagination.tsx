import { Link } from "react-router"
import { pagesToOffer, queryOf, type Search } from "./search.ts"

/** Links to the pages of a result; nothing when there is only one. */
export function Pagination({ search, pages }: { search: Search; pages: number }) {
  if (pages <= 1) return null
  const { page } = search
  const to = (number: number) => ({ pathname: "/", search: queryOf({ ...search, page: number }) })
  return (
    <nav aria-label="Pages" className="pages">
      {page > 1 && (
        <Link rel="prev" to={to(page - 1)}>
          Previous
        </Link>
      )}
      <ol>
        {pagesToOffer(page, pages).map((number, index) => (
          <li key={number ?? `gap-${index}`}>
            {number === null ? (
              <span aria-hidden="true">…</span>
            ) : (
              <Link
                to={to(number)}
                aria-label={`Page ${number}`}
                aria-current={number === page ? "page" : undefined}
              >
                {number}
              </Link>
            )}
          </li>
        ))}
      </ol>
      {page < pages && (
        <Link rel="next" to={to(page + 1)}>
          Next
        </Link>
      )}
    </nav>
  )
}
