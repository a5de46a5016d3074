import { EmptyState, ErrorState } from "@f1/frontend-kit"
import { keepPreviousData, useQuery, useQueryClient, type UseQueryResult } from "@tanstack/react-query"
import { Link, useNavigate, useSearchParams } from "react-router"
import { useApi, type RecipePage } from "../api/api.tsx"
import { recipesQuery, recipesRead } from "../api/queries.ts"
import { EmptyPlate } from "../art/EmptyPlate.tsx"
import { PastaRow } from "../art/PastaRow.tsx"
import { useSession } from "../auth/session.ts"
import { usePageTitle } from "../layout/usePageTitle.ts"
import { Pagination } from "./Pagination.tsx"
import { GridSkeleton, RecipeGrid } from "./RecipeGrid.tsx"
import { everything, isNarrow, queryOf, searchFrom, sorts, withTagToggled, type Search } from "./search.ts"
import { SearchBox } from "./SearchBox.tsx"
import { TagChips } from "./TagChips.tsx"

export function BrowsePage() {
  const [query] = useSearchParams()
  const search = searchFrom(query)
  usePageTitle(search.words ? `“${search.words}”` : undefined)
  const navigate = useNavigate()
  const show = (next: Search, replace = false) =>
    void navigate({ search: queryOf(next) }, { replace, preventScrollReset: true })
  const recipes = useQuery({ ...recipesQuery(useApi(), search), placeholderData: keepPreviousData })

  return (
    <>
      <section className="masthead">
        <PastaRow />
        <h1>Pasta worth cooking again</h1>
        <SearchBox
          words={search.words}
          onSearch={(words) => {
            // Typing on replaces the half-typed search, so that Back leads to what was there before.
            show({ ...search, words, page: 1 }, search.words !== "")
          }}
        />
      </section>
      <section className="filters" aria-label="Filters">
        <TagChips
          label="Filter by tag"
          chosen={search.tags}
          onToggle={(tag) => {
            show(withTagToggled(search, tag))
          }}
        />
        <div className="result-line">
          <p role="status">{recipes.data && resultText(recipes.data.total, search)}</p>
          {isNarrow(search) && (
            <Link to="/" preventScrollReset className="text-link">
              Clear all
            </Link>
          )}
          <label className="sort">
            Sort
            <select
              value={search.sort}
              onChange={(event) => {
                show({ ...search, sort: event.target.value as Search["sort"], page: 1 })
              }}
            >
              {Object.entries(sorts).map(([value, label]) => (
                <option key={value} value={value}>
                  {label}
                </option>
              ))}
            </select>
          </label>
        </div>
      </section>
      <Results search={search} recipes={recipes} />
    </>
  )
}

function Results({ search, recipes }: { search: Search; recipes: UseQueryResult<RecipePage> }) {
  const { data, error, isPlaceholderData } = recipes
  const session = useSession()
  if (error && !data) {
    return (
      <>
        <ErrorState art={<EmptyPlate />} error={error} onRetry={() => void recipes.refetch()} />
        <Shelf />
      </>
    )
  }
  if (!data) return <GridSkeleton />
  if (data.items.length === 0) {
    if (data.total > 0) {
      return (
        <EmptyState
          title="That was the last page"
          art={<EmptyPlate />}
          action={
            <Link className="kit-button" to={{ search: queryOf({ ...search, page: data.pages }) }}>
              Go back to it
            </Link>
          }
        >
          <p>
            There are {data.pages} pages, and this address asks for page {search.page}.
          </p>
        </EmptyState>
      )
    }
    return isNarrow(search) ? (
      <EmptyState
        title="Nothing on the menu for that"
        art={<EmptyPlate />}
        action={
          <Link className="kit-button" to={{ search: queryOf(everything) }}>
            See all recipes
          </Link>
        }
      >
        <p>Try fewer words, another spelling, or one tag less.</p>
      </EmptyState>
    ) : (
      <EmptyState
        title="The book is still empty"
        art={<EmptyPlate />}
        action={
          <Link className="kit-button" to="/write">
            {session ? "Write the first recipe" : "Sign in to write the first recipe"}
          </Link>
        }
      />
    )
  }
  return (
    <div aria-busy={isPlaceholderData} className={isPlaceholderData ? "stale" : undefined}>
      <RecipeGrid recipes={data.items} feature={!isNarrow(search) && data.page === 1} />
      <Pagination search={search} pages={data.pages} />
    </div>
  )
}

/** What can still be read when the list cannot be had. */
function Shelf() {
  const recipes = recipesRead(useQueryClient())
  if (recipes.length === 0) return null
  return (
    <section aria-labelledby="shelf">
      <h2 id="shelf">On this device</h2>
      <RecipeGrid recipes={recipes} level={3} />
    </section>
  )
}

function resultText(total: number, search: Search): string {
  const count = total === 1 ? "1 recipe" : `${total} recipes`
  return search.words ? `${count} for “${search.words}”` : count
}
