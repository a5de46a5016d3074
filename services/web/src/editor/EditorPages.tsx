import { ErrorState, Loading } from "@f1/frontend-kit"
import { useQuery } from "@tanstack/react-query"
import { useCallback } from "react"
import { useNavigate, useParams } from "react-router"
import { useApi, type Recipe } from "../api/api.tsx"
import { recipeQuery } from "../api/queries.ts"
import { usePageTitle } from "../layout/usePageTitle.ts"
import { RecipeForm } from "./RecipeForm.tsx"

export function WritePage() {
  usePageTitle("Write a recipe")
  return (
    <>
      <h1>Write a recipe</h1>
      <RecipeForm onSaved={useReadSaved()} />
    </>
  )
}

export function EditPage() {
  const { slug = "" } = useParams()
  const readSaved = useReadSaved()
  // Always the newest version: changes to an old one would only end in a conflict.
  const recipe = useQuery({ ...recipeQuery(useApi(), slug), staleTime: 0, refetchOnWindowFocus: false })
  usePageTitle(recipe.data && `Edit ${recipe.data.title}`)
  return (
    <>
      <h1>Edit {recipe.data ? <em>{recipe.data.title}</em> : "a recipe"}</h1>
      {recipe.error ? (
        <ErrorState error={recipe.error} onRetry={() => void recipe.refetch()} />
      ) : recipe.data && !recipe.isFetching ? (
        <RecipeForm recipe={recipe.data} onSaved={readSaved} />
      ) : (
        <Loading label="Loading the recipe" />
      )}
    </>
  )
}

/** Goes to the page of a recipe that was saved. */
function useReadSaved(): (recipe: Recipe) => void {
  const navigate = useNavigate()
  return useCallback(({ slug }) => void navigate(`/recipes/${slug}`, { replace: true }), [navigate])
}
