import { ApiError, ErrorState, Loading, Skeleton } from "@f1/frontend-kit"
import { useQuery } from "@tanstack/react-query"
import { Link, useParams } from "react-router"
import { useApi, type Recipe } from "../api/api.tsx"
import { recipeQuery, recipesQuery } from "../api/queries.ts"
import { useSession } from "../auth/session.ts"
import { EmptyPlate } from "../art/EmptyPlate.tsx"
import { RecipeGrid } from "../browse/RecipeGrid.tsx"
import { everything, queryOf } from "../browse/search.ts"
import { NotFoundPage } from "../layout/NotFoundPage.tsx"
import { usePageTitle } from "../layout/usePageTitle.ts"
import { useFlag } from "../useFlag.ts"
import { DeleteRecipe } from "./DeleteRecipe.tsx"
import { Ingredients } from "./Ingredients.tsx"
import { Method } from "./Method.tsx"
import { RecipePicture } from "./RecipePicture.tsx"
import { day, duration } from "./time.ts"

export function RecipePage() {
  const { slug = "" } = useParams()
  const recipe = useQuery(recipeQuery(useApi(), slug))
  usePageTitle(recipe.data?.title)

  if (recipe.data) return <Read key={`${slug} ${recipe.data.version}`} recipe={recipe.data} />
  if (!recipe.error) return <RecipeSkeleton />
  // 422: not even the form of a slug.
  if (recipe.error instanceof ApiError && (recipe.error.status === 404 || recipe.error.status === 422))
    return <NotFoundPage />
  return (
    <ErrorState
      headingLevel={1}
      art={<EmptyPlate />}
      error={recipe.error}
      onRetry={() => void recipe.refetch()}
      action={
        <Link className="button-plain" to="/">
          All recipes
        </Link>
      }
    />
  )
}

function Read({ recipe }: { recipe: Recipe }) {
  const session = useSession()
  const printable = useFlag("printView")
  return (
    <>
      <article className={printable ? "recipe printable" : "recipe"}>
        <header className="recipe-head">
          <div className="recipe-title">
            <p className="eyebrow">
              {duration(recipe.minutes)}
              {recipe.tags.map((tag) => (
                <Link key={tag} to={{ pathname: "/", search: queryOf({ ...everything, tags: [tag] }) }}>
                  {tag}
                </Link>
              ))}
            </p>
            <h1>{recipe.title}</h1>
            <p className="lead">{recipe.summary}</p>
            <p className="byline">
              By {recipe.author}, <time dateTime={recipe.updated_at}>{day(recipe.updated_at)}</time>
            </p>
            {printable && (
              <button
                type="button"
                className="text-link print"
                onClick={() => {
                  print()
                }}
              >
                Print
              </button>
            )}
            {session && (
              <div className="byline editing">
                <Link className="text-link" to="edit">
                  Edit
                </Link>
                <DeleteRecipe recipe={recipe} />
              </div>
            )}
          </div>
          <RecipePicture recipe={recipe} eager />
        </header>
        <div className="recipe-body">
          <Ingredients recipe={recipe} />
          <Method recipe={recipe} />
        </div>
      </article>
      <MoreLikeIt recipe={recipe} />
    </>
  )
}

/** Three others with the same first tag. A courtesy: without them the page is whole, so its errors are not shown. */
function MoreLikeIt({ recipe }: { recipe: Recipe }) {
  const tags = recipe.tags.slice(0, 1)
  const { data } = useQuery({ ...recipesQuery(useApi(), { ...everything, tags }), enabled: tags.length > 0 })
  const others = data?.items.filter(({ slug }) => slug !== recipe.slug).slice(0, 3) ?? []
  if (others.length === 0) return null
  return (
    <section className="more" aria-labelledby="more">
      <h2 id="more">More {tags[0]} recipes</h2>
      <RecipeGrid recipes={others} level={3} />
    </section>
  )
}

function RecipeSkeleton() {
  return (
    <Loading label="Loading the recipe">
      <div className="recipe">
        <div className="recipe-head">
          <div className="recipe-title">
            <Skeleton className="line short" />
            <Skeleton className="line headline" />
            <Skeleton className="line" />
          </div>
          <Skeleton className="picture" />
        </div>
      </div>
    </Loading>
  )
}
