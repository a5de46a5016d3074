import { useState } from "react"
import type { Recipe } from "../api/api.tsx"
import { scaleQuantity } from "./quantities.ts"

const most = 100

/** What it takes, for as many people as there are. */
export function Ingredients({ recipe }: { recipe: Recipe }) {
  const [servings, setServings] = useState(recipe.servings)
  const factor = servings / recipe.servings
  return (
    <section className="ingredients" aria-labelledby="ingredients">
      <h2 id="ingredients">Ingredients</h2>
      <div className="servings" role="group" aria-label="Servings">
        <button
          type="button"
          aria-label="One serving less"
          disabled={servings <= 1}
          onClick={() => {
            setServings(servings - 1)
          }}
        >
          −
        </button>
        <output aria-live="polite">
          Serves <strong>{servings}</strong>
        </output>
        <button
          type="button"
          aria-label="One serving more"
          disabled={servings >= most}
          onClick={() => {
            setServings(servings + 1)
          }}
        >
          +
        </button>
        {factor !== 1 && (
          <button
            type="button"
            className="text-link"
            onClick={() => {
              setServings(recipe.servings)
            }}
          >
            Back to {recipe.servings}
          </button>
        )}
      </div>
      <ul>
        {recipe.ingredients.map(({ quantity, name }, index) => (
          <li key={index}>
            <span className="quantity">{quantity && scaleQuantity(quantity, factor)}</span>
            <span>{name}</span>
          </li>
        ))}
      </ul>
    </section>
  )
}
