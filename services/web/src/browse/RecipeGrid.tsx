import { Loading, Skeleton } from "@f1/frontend-kit"
import { Link } from "react-router"
import type { RecipeSummary } from "../api/api.tsx"
import { RecipePicture } from "../recipe/RecipePicture.tsx"
import { duration } from "../recipe/time.ts"

interface Props {
  recipes: RecipeSummary[]
  /** Whether the first recipe gets the width of two. */
  feature?: boolean
  /** Level of the titles in the page's outline. */
  level?: 2 | 3
}

export function RecipeGrid({ recipes, feature = false, level = 2 }: Props) {
  const Heading = level === 2 ? "h2" : "h3"
  return (
    <ul className={feature ? "grid with-feature" : "grid"}>
      {recipes.map((recipe, index) => (
        <li key={recipe.slug} className="card">
          <RecipePicture recipe={recipe} eager={index < 3} />
          <div className="card-text">
            <p className="eyebrow">
              {duration(recipe.minutes)}
              {recipe.tags.slice(0, 2).map((tag) => (
                <span key={tag}>{tag}</span>
              ))}
            </p>
            <Heading>
              <Link to={`/recipes/${recipe.slug}`}>{recipe.title}</Link>
            </Heading>
            <p className="card-summary">{recipe.summary}</p>
          </div>
        </li>
      ))}
    </ul>
  )
}

/** Stands where a grid will be. */
export function GridSkeleton({ count = 6 }: { count?: number }) {
  return (
    <Loading label="Loading recipes">
      <div className="grid">
        {Array.from({ length: count }, (_, index) => (
          <div key={index} className="card">
            <Skeleton className="picture" />
            <div className="card-text">
              <Skeleton className="line short" />
              <Skeleton className="line title" />
              <Skeleton className="line" />
            </div>
          </div>
        ))}
      </div>
    </Loading>
  )
}
