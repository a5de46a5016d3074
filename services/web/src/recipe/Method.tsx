import { useState } from "react"
import type { Recipe } from "../api/api.tsx"
import { useDoneSteps } from "./useDoneSteps.ts"
import { useWakeLock } from "./useWakeLock.ts"

/** The steps, to be checked off; large and with the screen kept on while cooking. */
export function Method({ recipe }: { recipe: Recipe }) {
  const { done, toggle, clear } = useDoneSteps(recipe.slug)
  const [cooking, setCooking] = useState(false)
  const screenHeld = useWakeLock(cooking)
  const finished = done.size === recipe.steps.length
  return (
    <section className={cooking ? "method cooking" : "method"} aria-labelledby="method">
      <div className="method-head">
        <h2 id="method">Method</h2>
        <button
          type="button"
          className="chip"
          aria-pressed={cooking}
          onClick={() => {
            setCooking(!cooking)
          }}
        >
          Cooking mode
        </button>
      </div>
      <p role="status" className="method-note">
        {cooking &&
          (screenHeld
            ? "Large text. The screen stays on."
            : "Large text. This device does not let the screen stay on.")}
      </p>
      <ol>
        {recipe.steps.map((step, index) => (
          <li key={index}>
            <label className={done.has(index) ? "step done" : "step"}>
              <input
                type="checkbox"
                checked={done.has(index)}
                onChange={() => {
                  toggle(index)
                }}
              />
              <span className="step-number" aria-hidden="true">
                {index + 1}
              </span>
              <span>{step}</span>
            </label>
          </li>
        ))}
      </ol>
      <p role="status" className="method-end">
        {finished && "All done. Buon appetito!"}
      </p>
      {done.size > 0 && (
        <button type="button" className="text-link" onClick={clear}>
          Start over
        </button>
      )}
    </section>
  )
}
