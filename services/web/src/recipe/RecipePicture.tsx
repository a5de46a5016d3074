import { useState } from "react"
import type { RecipeSummary } from "../api/api.tsx"
import { PastaArt } from "../art/PastaArt.tsx"

/** A recipe's photo, or its poster when there is none or it does not load. Decoration beside the title. */
export function RecipePicture({ recipe, eager = false }: { recipe: RecipeSummary; eager?: boolean }) {
  const [broken, setBroken] = useState<string | null>(null)
  const { photo_url: photo } = recipe
  if (!photo || broken === photo) return <PastaArt recipe={recipe} className="picture" />
  return (
    <img
      className="picture"
      src={photo}
      alt=""
      loading={eager ? "eager" : "lazy"}
      decoding="async"
      onError={() => {
        setBroken(photo)
      }}
    />
  )
}
