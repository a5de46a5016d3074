import { explain } from "@f1/frontend-kit"
import { useRef } from "react"
import { useNavigate } from "react-router"
import type { Recipe } from "../api/api.tsx"
import { useDeleteRecipe } from "../api/queries.ts"

/** Deletes after asking, in a dialog that the browser makes modal. */
export function DeleteRecipe({ recipe }: { recipe: Recipe }) {
  const dialog = useRef<HTMLDialogElement>(null)
  const navigate = useNavigate()
  const deletion = useDeleteRecipe(recipe)
  return (
    <>
      <button type="button" className="text-link danger" onClick={() => dialog.current?.showModal()}>
        Delete
      </button>
      <dialog ref={dialog} aria-labelledby="delete-title" className="dialog">
        <h2 id="delete-title">Delete “{recipe.title}”?</h2>
        <p>It will be gone for everyone, and cannot be brought back.</p>
        {deletion.isError && (
          <p className="form-error" role="alert">
            {explain(deletion.error).text}
          </p>
        )}
        <div className="dialog-actions">
          <button type="button" className="button-plain" onClick={() => dialog.current?.close()}>
            Keep it
          </button>
          <button
            type="button"
            className="kit-button danger"
            disabled={deletion.isPending}
            onClick={() => {
              deletion.mutate(undefined, { onSuccess: () => void navigate("/", { replace: true }) })
            }}
          >
            {deletion.isPending ? "Deleting…" : "Delete recipe"}
          </button>
        </div>
      </dialog>
    </>
  )
}
